/** How a message is received in memory: new, a repetition, or another event about a message that is known. */
import { Option } from "effect"
import { type Appended, heardLate, type NewMessage, notAddressed } from "../MessageStore.ts"
import { askedFor, claim, openTurn } from "./claim.ts"
import { isPaused } from "./Control.ts"
import { type Data, least, waiting, waits } from "./Database.ts"

/** When a message is due: with what is due already in its conversation, or else at the end of its own window. */
const dueOf = (data: Data, { dueAt, message, receivedAt }: NewMessage) =>
  least(
    waiting(data, message.conversation).map((row) => row.dueAt).filter((due) => due <= receivedAt)
  ) ?? dueAt

/** A message moves the end of the quiet window for everything that waits in it; what is due keeps its place. */
const moveWindow = (data: Data, { message, receivedAt }: NewMessage, due: number) => {
  for (const row of waiting(data, message.conversation)) if (row.dueAt > receivedAt) row.dueAt = due
}

/** Replies that came before the message they follow wait with it, where it is the first that is not ignored. */
const takeAlong = (data: Data, { message, receivedAt }: NewMessage, dueAt: number) => {
  for (const row of data.messages.values()) {
    const isReply = row.conversation === message.conversation && row.state === "ignored" &&
      row.reason === notAddressed && row.message.ts > message.ts && row.receivedAt >= receivedAt - heardLate
    if (isReply) Object.assign(row, { state: "queued", reason: null, finishedAt: null, dueAt })
  }
}

const isFirst = (data: Data, { message }: NewMessage) =>
  ![...data.messages.values()].some(({ conversation, state }) =>
    conversation === message.conversation && state !== "ignored"
  )

/** What a new message becomes: it waits, or it ends here and says why. */
const reception = (data: Data, added: NewMessage) => {
  const { cap, dueAt, ignored, message, receivedAt } = added
  if (ignored !== undefined) return { state: "ignored", reason: ignored, finishedAt: receivedAt, dueAt } as const
  if (cap === undefined || waiting(data, message.conversation).length < cap) {
    return { state: "queued", reason: null, finishedAt: null, dueAt: dueOf(data, added) } as const
  }
  const reason = `more than ${cap} messages wait in this conversation`
  return { state: "failed", reason, finishedAt: receivedAt, dueAt } as const
}

/** Whether it is begun at once: it is due, and nothing of its conversation is before it or comes along. */
const mayBegin = (data: Data, { dueAt, ignored, message, receivedAt }: NewMessage) => {
  const { conversation, ts } = message
  return ignored === undefined && dueAt <= receivedAt && waiting(data, conversation).length === 0 &&
    openTurn(data, conversation) === undefined && askedFor(data, conversation).length === 0 &&
    !isPaused(data, conversation) &&
    ![...data.messages.values()].some((row) =>
      row.conversation === conversation && row.state === "ignored" && row.reason === notAddressed &&
      row.message.ts > ts
    )
}

export const append = (data: Data, added: NewMessage, trace: string | null = null): Appended => {
  const { keys, message, receivedAt } = added
  const { conversation } = message
  const first = least(keys.flatMap((key) => data.keys.get(key)?.message ?? []))
  // The very same event again changes nothing. Another event about the same message may say more.
  const isTwin = first !== null && !data.keys.has(keys[0] ?? "")
  const id = first ?? data.nextMessage++
  for (const key of keys) if (!data.keys.has(key)) data.keys.set(key, { message: id, seenAt: receivedAt })

  if (first === null) {
    const owner = added.claim !== undefined && mayBegin(data, added) ? added.claim : undefined
    const received = reception(data, added)
    const joined = isFirst(data, added) ? takeAlong : moveWindow
    data.messages.set(id, { id, conversation, message, turn: null, receivedAt, trace, ...received })
    if (received.state === "ignored") return { _tag: "Ignored" }
    if (received.state === "failed") return { _tag: "Overflow" }
    joined(data, added, received.dueAt)
    const claimed = owner === undefined ? undefined : claim(data, conversation, owner, receivedAt)
    return claimed === undefined ? { _tag: "Queued" } : { _tag: "Queued", claimed: Option.getOrThrow(claimed) }
  }

  const row = data.messages.get(first)
  if (isTwin && row?.state === "ignored" && row.reason !== "discarded" && added.ignored === undefined) {
    const received = reception(data, added)
    const joined = isFirst(data, added) ? takeAlong : moveWindow
    Object.assign(row, { ...received, conversation, message: { ...row.message, ...message } })
    if (received.state === "failed") return { _tag: "Overflow" }
    joined(data, added, received.dueAt)
    return { _tag: "Duplicate", revived: true }
  }
  // The first keeps its own fields and gets those that only its twin has.
  if (isTwin && row !== undefined && waits(row)) row.message = { ...message, ...row.message }
  return { _tag: "Duplicate", revived: false }
}
