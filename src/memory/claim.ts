/** How a turn is claimed in memory: the unfinished one, one that was asked for, or a new one of what is due. */
import { Option } from "effect"
import { type ConversationKey, type OwnerId, TurnId } from "../Message.ts"
import { type ClaimedTurn, suspectAfter } from "../MessageStore.ts"
import { isPaused } from "./Control.ts"
import { type Data, isAskedFor, type MessageRow, type TurnRow, waiting } from "./Database.ts"

const bySlackTs = (a: MessageRow, b: MessageRow) => {
  if (a.message.ts !== b.message.ts) return a.message.ts < b.message.ts ? -1 : 1
  return a.id - b.id
}

export const waitingDue = (data: Data, conversation: ConversationKey, now: number): ReadonlyArray<MessageRow> =>
  waiting(data, conversation).filter(({ dueAt }) => dueAt <= now).toSorted(bySlackTs)

export const openTurn = (data: Data, conversation: ConversationKey): TurnRow | undefined =>
  [...data.turns.values()].find((turn) =>
    turn.conversation === conversation && (turn.state === "running" || turn.state === "waiting")
  )

/** Asked for again by hand, those that have waited longest first; they hold nothing up until they are begun. */
export const askedFor = (data: Data, conversation: ConversationKey): ReadonlyArray<TurnRow> =>
  [...data.turns.values()].filter((turn) => turn.conversation === conversation && isAskedFor(turn))
    .toSorted((a, b) => a.dueAt - b.dueAt || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))

export const claim = (
  data: Data,
  conversation: ConversationKey,
  owner: OwnerId,
  now: number,
  most?: number
): Option.Option<ClaimedTurn> => {
  const turns = [...data.turns.values()]
  const run = (turn: TurnRow, hasOthers = true) => {
    Object.assign(turn, { state: "running", owner, attempt: turn.attempt + 1, startedAt: now })
    const messages = [...data.messages.values()].filter((row) => row.turn === turn.id && row.state === "queued")
      .toSorted(bySlackTs)
    for (const row of messages) row.state = "processing"
    return Option.some<ClaimedTurn>({
      id: turn.id,
      conversation,
      attempt: turn.attempt,
      failures: turn.failures,
      crashes: turn.crashes,
      interrupted: turn.interrupted,
      status: turn.status,
      unreadable: null,
      messages: messages.map(({ message }) => message),
      ids: messages.map(({ id }) => id),
      traces: messages.flatMap(({ trace }) => trace ?? []),
      receivedAt: Math.min(...messages.map(({ receivedAt }) => receivedAt)),
      hasOthers
    })
  }

  if (isPaused(data, conversation)) return Option.none()
  const open = openTurn(data, conversation)
  if (open !== undefined) {
    if (open.state === "running" || open.dueAt > now) return Option.none()
    const apartFrom = open.crashes >= suspectAfter ? 1 : suspectAfter
    const isInDoubt = (turn: TurnRow) => turn.state === "running" && turn.owner === owner && turn.crashes >= apartFrom
    if (open.crashes > 0 && turns.some(isInDoubt)) {
      open.dueAt = now + 1_000
      return Option.none()
    }
    return run(open)
  }

  const waiting = waitingDue(data, conversation, now)
  const asked = askedFor(data, conversation).find(({ dueAt }) => dueAt <= now)
  if (asked !== undefined && !waiting.some(({ dueAt }) => dueAt < asked.dueAt)) return run(asked)

  const taken = waiting.slice(0, most)
  if (taken[0] === undefined) return Option.none()
  // A message opens a second turn when its first one is superseded, maybe in the same millisecond.
  const wanted = `turn_${now.toString(36)}_${taken[0].id}`
  let id = TurnId.make(wanted)
  for (let n = 2; data.turns.has(id); n++) id = TurnId.make(`${wanted}_${n}`)
  for (const row of taken) row.turn = id
  const turn: TurnRow = {
    id,
    conversation,
    state: "waiting",
    owner: null,
    attempt: 0,
    failures: 0,
    crashes: 0,
    interrupted: false,
    status: null,
    dueAt: now,
    startedAt: now,
    error: null,
    createdAt: now,
    finishedAt: null
  }
  data.turns.set(id, turn)
  return run(turn, most !== undefined || askedFor(data, conversation).length > 0)
}
