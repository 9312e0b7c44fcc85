/** How a message is received in memory: new, a repetition, or another event about a message that is known. */
import type { ConversationKey } from "../Message.ts"
import type { Appended, NewMessage } from "../MessageStore.ts"
import { type Data, least, waiting, waits } from "./Database.ts"

/** A message moves the end of the quiet window for everything that waits with it. */
const moveWindow = (data: Data, conversation: ConversationKey, dueAt: number) => {
  for (const row of waiting(data, conversation)) row.dueAt = dueAt
}

/** What a new message becomes: it waits, or it ends here and says why. */
const reception = (data: Data, { cap, ignored, message, receivedAt }: NewMessage) => {
  if (ignored !== undefined) return { state: "ignored", reason: ignored, finishedAt: receivedAt } as const
  if (cap === undefined || waiting(data, message.conversation).length < cap) {
    return { state: "queued", reason: null, finishedAt: null } as const
  }
  const reason = `more than ${cap} messages wait in this conversation`
  return { state: "failed", reason, finishedAt: receivedAt } as const
}

export const append = (data: Data, added: NewMessage): Appended => {
  const { dueAt, keys, message, receivedAt } = added
  const { conversation } = message
  const first = least(keys.flatMap((key) => data.keys.get(key)?.message ?? []))
  // The very same event again changes nothing. Another event about the same message may say more.
  const isTwin = first !== null && !data.keys.has(keys[0] ?? "")
  const id = first ?? data.nextMessage++
  for (const key of keys) if (!data.keys.has(key)) data.keys.set(key, { message: id, seenAt: receivedAt })

  if (first === null) {
    const received = reception(data, added)
    data.messages.set(id, { id, conversation, message, turn: null, dueAt, receivedAt, ...received })
    if (received.state === "ignored") return { _tag: "Ignored" }
    if (received.state === "failed") return { _tag: "Overflow" }
    moveWindow(data, conversation, dueAt)
    return { _tag: "Queued" }
  }

  const row = data.messages.get(first)
  if (isTwin && row?.state === "ignored" && row.reason !== "discarded" && added.ignored === undefined) {
    const received = reception(data, added)
    Object.assign(row, { ...received, conversation, message: { ...row.message, ...message }, dueAt })
    if (received.state === "failed") return { _tag: "Overflow" }
    moveWindow(data, conversation, dueAt)
    return { _tag: "Duplicate", revived: true }
  }
  // The first keeps its own fields and gets those that only its twin has.
  if (isTwin && row !== undefined && waits(row)) row.message = { ...message, ...row.message }
  return { _tag: "Duplicate", revived: false }
}
