/**
 * What one run of a turn says: replies, changes of them, reactions, answers to commands.
 *
 * Owns the places of a run, which are the ordinals in its idempotency keys: the same call in a re-run is recognised,
 * another one at the same place is a new reply. Inside a step the ordinals are the step's own.
 * Guarantees: what it answers is on disk. Does not: know when the run is over (Turn does).
 */
import { Effect, type Stream } from "effect"
import { isResponseUrl, problemOf, type Response, responseUrlOf, type SlackMessage } from "./Dispatch.ts"
import { CurrentStep } from "./Handler.ts"
import type { ConversationKey, Destination, InboundMessage, Reply } from "./Message.ts"
import type { Outbox } from "./Outbox.ts"
import type { NewReply, TurnRun } from "./OutboxStore.ts"
import { type Change, type Messages, type ReplyDoor, ReplyHandle } from "./ReplyHandle.ts"
import {
  type Begun,
  type FileUpload,
  rowOfAppend,
  rowOfStream,
  rowOfUpload,
  rowsOfChange,
  rowsOfReply,
  rowsOfResponse,
  rowsOfStop,
  type Spot
} from "./replyRows.ts"
import { makeReplyStream, pour } from "./ReplyStream.ts"
import type { SpoolError } from "./Spool.ts"
import type { StoreError } from "./StoreError.ts"
import { FileRefused, ReplyFailed, TurnError } from "./TurnError.ts"

export interface RepliesOptions {
  readonly run: TurnRun
  readonly conversation: ConversationKey
  readonly messages: ReadonlyArray<InboundMessage>
  readonly destination: Destination | undefined
  readonly outbox: Outbox["Service"]
  readonly slackApiUrl: string
  /** Every call of the run goes through it: it fails once the run is over, and counts till it is done. */
  readonly call: <A, R>(effect: Effect.Effect<A, TurnError, R>) => Effect.Effect<A, TurnError, R>
  readonly ofStore: <A>(effect: Effect.Effect<A, StoreError>) => Effect.Effect<A, TurnError>
}

const failed = (detail: string) => new TurnError({ reason: new ReplyFailed({ detail }) })

/** A step's name in a key, where a colon ends it. */
const escaped = (name: string) => name.replaceAll("%", "%25").replaceAll(":", "%3A")

export const makeReplies = (options: RepliesOptions) => {
  const { call, conversation, destination, messages, ofStore, outbox, run } = options
  let ordinal = 0
  /** Streams of this run, and how to commit what was said in them so far. */
  const streams: Array<{ readonly begun: Begun; readonly growing: ReturnType<typeof makeReplyStream> }> = []

  const nowhere = failed("this turn came from nowhere one could answer: no channel and no user")

  const spotAt = (place: string, to: Destination): Spot => ({
    scope: run.turn,
    place,
    lane: conversation,
    destination: to
  })

  /** The next place of the step that this fiber works for, or of the run. What has a key of its own takes no place. */
  const nextSpot = (to: Destination, key?: string) =>
    key !== undefined ? Effect.succeed(spotAt("", to)) : Effect.map(
      CurrentStep,
      (step) => spotAt(step === undefined ? String(ordinal++) : `step:${escaped(step.name)}:${step.said++}`, to)
    )

  const commit = (rows: ReadonlyArray<NewReply>) =>
    Effect.map(ofStore(outbox.commit(rows, run)), (stored) => stored.map(({ id }) => id))

  const committed = Effect.fnUntraced(function*(rows: ReadonlyArray<NewReply>, to: Destination) {
    const ids = yield* commit(rows)
    return new ReplyHandle(door, ids, { messages: { rows: ids, lane: conversation, destination: to } })
  })

  const change = Effect.fn("Turn.change")(function*(wanted: Change, standing: Messages) {
    const problem = wanted._tag === "Update" ? problemOf(wanted.reply) : undefined
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* nextSpot(standing.destination, wanted._tag === "Update" ? wanted.reply.key : undefined)
    const { kept, rows } = yield* rowsOfChange(spot, wanted, standing)
    const ids = yield* commit(rows)
    return { rows: ids, messages: [...kept, ...ids.filter((_, index) => rows[index]?.dispatch._tag === "Post")] }
  })

  const door: ReplyDoor = {
    delivered: outbox.delivered,
    change: (wanted, standing) => call(change(wanted, standing))
  }

  const reply = Effect.fn("Turn.reply")(function*(given: string | Reply) {
    if (destination === undefined) return yield* nowhere
    const wanted = typeof given === "string" ? { text: given } : given
    const problem = problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    return yield* committed(yield* rowsOfReply(yield* nextSpot(destination, wanted.key), wanted), destination)
  })

  const respond = Effect.fn("Turn.respond")(function*(given: string | Response) {
    const url = responseUrlOf(messages)
    if (url === undefined) return yield* failed("this turn has no response_url: it is about no command and no button")
    if (!isResponseUrl(url, options.slackApiUrl)) return yield* failed("this response_url is not Slack's")
    const wanted = typeof given === "string" ? { text: given } : given
    const problem = wanted.deleteOriginal === true ? undefined : problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    const to = destination ?? { channel: "" }
    return yield* committed(yield* rowsOfResponse(yield* nextSpot(to, wanted.key), wanted, url), to)
  })

  /** A reaction to a message that is no reply of ours. */
  const reactTo = Effect.fn("Turn.react")(function*(name: string, message: SlackMessage, remove: boolean) {
    const to = { channel: message.channel }
    const nothing = { rows: [], lane: conversation, destination: to }
    const { rows } = yield* rowsOfChange(yield* nextSpot(to), { _tag: "React", name, remove, message }, nothing)
    return yield* committed(rows, to)
  })

  /** The last thing that somebody wrote, which is what a reaction is to unless one says otherwise. */
  const lastMessage = (): SlackMessage | undefined => {
    const last = messages.findLast(({ kind }) => kind === "message" || kind === "app_mention")
    return last?.channel === undefined ? undefined : { channel: last.channel, ts: last.ts }
  }

  const react = (
    given: string,
    to?: ReplyHandle | SlackMessage,
    { remove = false }: { readonly remove?: boolean } = {}
  ): Effect.Effect<ReplyHandle, TurnError> => {
    const name = given.replace(/^:|:$/g, "")
    if (to instanceof ReplyHandle) return to.through(door).react(name, { remove })
    const message = to ?? lastMessage()
    return message === undefined
      ? call(Effect.fail(failed("there is no message to react to")))
      : call(reactTo(name, message, remove))
  }

  const refused = (error: SpoolError) => new TurnError({ reason: new FileRefused({ detail: error.message }) })

  /** The bytes are on disk before the row is. */
  const upload = Effect.fn("Turn.upload")(function*(file: FileUpload) {
    if (destination === undefined) return yield* nowhere
    if (file.filename.trim() === "") return yield* failed("a file without a name")
    const spot = yield* nextSpot(destination, file.key)
    const staged = yield* Effect.mapError(outbox.stage(file.content), refused)
    const { row, spool } = yield* rowOfUpload(spot, file, staged)
    yield* Effect.mapError(outbox.keep(staged, spool), refused)
    const [stored] = yield* ofStore(outbox.commit([row], run))
    // An earlier run sent it already.
    if (stored?.state === "delivered") yield* outbox.drop(spool)
    const ids = stored === undefined ? [] : [stored.id]
    return new ReplyHandle(door, ids, { messages: { rows: ids, lane: conversation, destination } })
  })

  const stream = Effect.fn("Turn.stream")(function*({ key }: { readonly key?: string } = {}) {
    if (destination === undefined) return yield* nowhere
    const spot = yield* nextSpot(destination, key)
    const last = messages.findLast(({ user }) => user !== undefined)
    const to = last?.user === undefined || last.direct ? {} : { user: last.user, team: last.team }
    const row = rowOfStream(spot, key, to)
    const [start = 0] = yield* commit([row])
    const begun: Begun = { spot, key: row.key, start }
    const standing = (rows: ReadonlyArray<number>): { messages: Messages } => ({
      messages: { rows: [start, ...rows], lane: conversation, destination }
    })
    const growing = makeReplyStream({
      handle: new ReplyHandle(door, [start], standing([])),
      shown: ofStore(outbox.streamed(start)),
      send: (markdown, nth) =>
        Effect.flatMap(commit([rowOfAppend(begun, markdown, `${run.attempt}:${nth}`)]), outbox.delivered),
      commit: Effect.fnUntraced(function*(whole) {
        const ids = yield* commit(yield* rowsOfStop(begun, whole))
        return new ReplyHandle(door, ids, standing(ids.slice(1)))
      }),
      call
    })
    streams.push({ begun, growing })
    yield* Effect.forkDetach(growing.writer)
    return growing.stream
  })

  const begin = (options?: { readonly key?: string }) => call(stream(options))

  /** What was said in streams that nobody stopped. */
  const unfinished = Effect.suspend(() =>
    Effect.forEach(streams, ({ begun, growing }) => {
      const text = growing.unfinished()
      return text.trim() === "" ? Effect.succeed([]) : rowsOfStop(begun, text)
    })
  )

  return {
    /** The run is over. */
    close: () => {
      for (const { growing } of streams) growing.close()
    },
    turn: {
      upload: (file: FileUpload) => call(upload(file)),
      stream: begin,
      streamFrom: <E, R>(from: Stream.Stream<string, E, R>, options?: { readonly key?: string }) =>
        Effect.flatMap(begin(options), (into) => pour(from, into)),
      reply: (given: string | Reply) => call(reply(given)),
      update: (handle: ReplyHandle, given: string | Reply) => handle.through(door).update(given),
      delete: (handle: ReplyHandle) => handle.through(door).delete(),
      react,
      respond: (given: string | Response) => call(respond(given))
    },
    /** Rows that belong to the completion of the turn; nothing where it cannot be answered. */
    rows: (kind: "final" | "notice", replies: ReadonlyArray<Reply>) =>
      destination === undefined
        ? Effect.succeed<ReadonlyArray<NewReply>>([])
        : Effect.map(
          Effect.all([
            unfinished,
            Effect.forEach(replies, (item, index) => rowsOfReply(spotAt(`${kind}:${index}`, destination), item))
          ]),
          (rows) => rows.flat(2)
        )
  }
}
