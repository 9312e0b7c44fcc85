/**
 * What one transaction of both stores sees, as plain data: the reference for what the SQL adapters must do, and a
 * ground for tests and embedding tests that need no file.
 *
 * Guarantees: what the ports promise, as long as the process lives. A call is synchronous, looks at everything first
 * and writes then, so it is a transaction: a refusal has changed nothing. `structuredClone` of the data is a snapshot
 * to go on from later; `begin` (`Instance.ts`) makes of it what a new instance finds after a crash.
 * Does not: survive the process. Memory is never a silent substitute: nothing falls back to it, whoever wants it
 * provides these layers by name.
 */
import { Context, Effect, Layer } from "effect"
import type { Pause } from "../Control.ts"
import type { Cutoff } from "../Cutoff.ts"
import type { Dispatch, SlackMessage } from "../Dispatch.ts"
import type { ByHand } from "../InboxByHand.ts"
import type { ConversationKey, Destination, InboundMessage, OwnerId, TurnId } from "../Message.ts"
import type { ReplyState } from "../OutboxStore.ts"
import { StoreError, StoreUnavailable, TurnLost } from "../StoreError.ts"

export interface MessageRow {
  readonly id: number
  conversation: ConversationKey
  message: InboundMessage
  state: "queued" | "processing" | "done" | "ignored" | "failed"
  reason: string | null
  turn: TurnId | null
  dueAt: number
  readonly receivedAt: number
  finishedAt: number | null
}

export interface TurnRow {
  readonly id: TurnId
  readonly conversation: ConversationKey
  state: "running" | "waiting" | "done" | "failed" | "superseded"
  owner: OwnerId | null
  attempt: number
  failures: number
  crashes: number
  interrupted: boolean
  status: string | null
  dueAt: number
  /** When its last run began. */
  startedAt: number
  error: string | null
  readonly createdAt: number
  finishedAt: number | null
}

export interface ReplyRow {
  readonly id: number
  readonly key: string
  readonly lane: ConversationKey
  readonly destination: Destination
  dispatch: Dispatch
  interim: boolean
  readonly turn: TurnId | null
  readonly target: number | null
  readonly partOf: number | null
  state: ReplyState
  owner: OwnerId | null
  tries: number
  attempts: number
  dueAt: number
  readonly enqueuedAt: number
  livesFrom: number
  sentAt: number | null
  unknownSince: number | null
  late: boolean
  looks: number
  newest: string | null
  held: boolean
  degraded: boolean
  error: string | null
  reason: string | null
  failedAt: number | null
  retriedAt: number | null
  /** Where it is in Slack. */
  at: SlackMessage | null
  remote: string | null
  finishedAt: number | null
}

export interface Data {
  readonly messages: Map<number, MessageRow>
  /** By event and by logical message. A key outlives its message where it must, and then still says "seen". */
  readonly keys: Map<string, { readonly message: number; readonly seenAt: number }>
  readonly turns: Map<TurnId, TurnRow>
  /** Results by turn and name. */
  readonly steps: Map<TurnId, Map<string, string>>
  readonly states: Map<ConversationKey, string>
  /** By what is paused; everything has no name. */
  readonly pauses: Map<string, Pause>
  /** What people did with messages. */
  readonly byHand: Array<ByHand & { readonly message: number }>
  readonly replies: Map<number, ReplyRow>
  readonly instances: Array<{ readonly id: OwnerId; stoppedAt: number | null; heardUntil: number | null }>
  /** Whose messages these are, once it was heard. */
  workspace: string | null
  /** Ids are never given twice, whatever is pruned. */
  nextMessage: number
  nextReply: number
}

export const empty = (): Data => ({
  messages: new Map(),
  keys: new Map(),
  turns: new Map(),
  steps: new Map(),
  states: new Map(),
  pauses: new Map(),
  byHand: [],
  replies: new Map(),
  instances: [],
  workspace: null,
  nextMessage: 1,
  nextReply: 1
})

export class Database extends Context.Service<Database, Data>()("slackwater/memory/Database") {
  /** An empty one. To go on from a snapshot: `Layer.succeed(Database, snapshot)`. */
  static readonly layer = Layer.sync(this, empty)
}

/** One call of a store. */
export const call = (operation: string) => <A>(body: () => A): Effect.Effect<A, StoreError> =>
  Effect.try({
    try: body,
    catch: (cause) =>
      new StoreError({ operation, reason: cause instanceof TurnLost ? cause : new StoreUnavailable({ cause }) })
  })

/** The running turn, for the owner (and the run) that holds it; nobody else gets further than this. */
export const heldTurn = (data: Data, id: TurnId, owner: OwnerId, attempt?: number): TurnRow => {
  const turn = data.turns.get(id)
  if (
    turn?.state !== "running" || turn.owner !== owner || (attempt !== undefined && turn.attempt !== attempt)
  ) throw new TurnLost({ turn: id })
  return turn
}

interface Finished {
  readonly id: number | string
  readonly finishedAt: number | null
}

/** Those that ended, oldest first. */
const ended = <Row extends Finished>(rows: Iterable<Row>) =>
  [...rows].flatMap((row) => row.finishedAt === null ? [] : [{ at: row.finishedAt, row }])
    .toSorted((a, b) => a.at - b.at || (a.row.id < b.row.id ? -1 : 1))

/** At most `most` of the rows that ended before the cut-off, oldest first. */
export const oldest = <Row extends Finished>(
  rows: Iterable<Row>,
  before: Cutoff,
  most: number
): ReadonlyArray<Row> =>
  ended(rows).filter(({ at, row: { id } }) =>
    at < before.at || (at === before.at && typeof id === "number" && id < before.id)
  ).slice(0, most).map(({ row }) => row)

/** The oldest of those that ended last. */
export const cutoffKeeping = (
  rows: Iterable<Finished & { readonly id: number }>,
  newest: number
): Cutoff | null => {
  const first = ended(rows).at(-newest)
  return first === undefined ? null : { at: first.at, id: first.row.id }
}

/** The least of what there is. */
export const least = (moments: ReadonlyArray<number>): number | null =>
  moments.length === 0 ? null : Math.min(...moments)

/** Asked for again by hand, and not begun yet: it holds nothing up. */
export const isAskedFor = ({ finishedAt, state }: TurnRow): boolean => state === "failed" && finishedAt === null

/** In no turn yet. */
export const waits = (row: MessageRow): boolean => row.state === "queued" && row.turn === null

/** What no turn of the conversation has taken yet. */
export const waiting = (data: Data, conversation: ConversationKey): ReadonlyArray<MessageRow> =>
  [...data.messages.values()].filter((row) => row.conversation === conversation && waits(row))
