/**
 * What one run of a turn says: replies, changes of them, reactions, answers to commands.
 *
 * Owns what was said in a run, and with it the idempotency keys: the same reply in a re-run is recognised, in whatever
 * order, and another one is a new reply. What is said inside a step is the step's own; in a later call of a route the
 * keys that the handler gives are the call's own.
 * Guarantees: what it answers is on disk. Does not: know when the run is over (Turn does).
 */
import { Effect, type Stream } from "effect"
import { CurrentCall, CurrentStep, ownName } from "./CurrentWork.ts"
import { isResponseUrl, problemOf, type Response, responseUrlOf, type SlackMessage } from "./Dispatch.ts"
import type { ConversationKey, Destination, InboundMessage, Reply } from "./Message.ts"
import type { Outbox } from "./Outbox.ts"
import type { NewReply, StoredReply, TurnRun } from "./OutboxStore.ts"
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
import { spanned } from "./spanned.ts"
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
  /** A reply that everybody sees was committed. */
  readonly replied: (delivered: Effect.Effect<unknown, TurnError>) => void
}

const failed = (detail: string) => new TurnError({ reason: new ReplyFailed({ detail }) })

/** A step's name in a key, where a colon ends it. */
const escaped = (name: string) => name.replaceAll("%", "%25").replaceAll(":", "%3A")

export const makeReplies = (options: RepliesOptions) => {
  const { call, conversation, destination, ofStore, outbox, replied, run } = options
  const said = new Set<string>()
  /** How many streams were begun in each place, in order. */
  const begunAt = new Map<string, number>()
  /** Streams of this run, and how to commit what was said in them so far. */
  const streams: Array<{ readonly begun: Begun; readonly growing: ReturnType<typeof makeReplyStream> }> = []

  const nowhere = () => failed("this turn came from nowhere one could answer: no channel and no user")

  const spotAt = (place: string, to: Destination): Spot => ({
    scope: run.turn,
    place,
    lane: conversation,
    destination: to
  })

  /** The step that this fiber works for, or the run. */
  const spotHere = (to: Destination) =>
    Effect.map(CurrentStep, (step): Spot =>
      step === undefined
        ? { ...spotAt("said", to), said }
        : { ...spotAt(`step:${escaped(step.name)}`, to), said: step.said })

  /** What this fiber speaks about: the call's messages, or all of the turn. */
  const messagesHere = Effect.map(CurrentCall, (current) => current?.messages ?? options.messages)

  const ownKey = <A extends { readonly key?: string }>(reply: A) =>
    Effect.map(
      CurrentCall,
      (current): A =>
        current === undefined || reply.key === undefined ? reply : { ...reply, key: ownName(reply.key, current.index) }
    )

  const commit = (rows: ReadonlyArray<NewReply>, { said }: Spot) =>
    ofStore(outbox.commit(rows, run)).pipe(
      // Said again it is the same reply, whether the failed attempt got to the disk or not.
      Effect.tapError(() => Effect.sync(() => rows.forEach(({ key }) => said?.delete(key))))
    )

  const idsOf = (rows: ReadonlyArray<StoredReply>) => rows.map(({ id }) => id)

  const committed = Effect.fnUntraced(function*(rows: ReadonlyArray<NewReply>, spot: Spot) {
    const ids = idsOf(yield* commit(rows, spot))
    return new ReplyHandle(door, ids, { messages: { rows: ids, lane: conversation, destination: spot.destination } })
  })

  const change = Effect.fnUntraced(function*(given: Change, standing: Messages) {
    const wanted = given._tag === "Update" ? { ...given, reply: yield* ownKey(given.reply) } : given
    const problem = wanted._tag === "Update" ? problemOf(wanted.reply) : undefined
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(standing.destination)
    const { kept, rows } = yield* rowsOfChange(spot, wanted, standing)
    const ids = idsOf(yield* commit(rows, spot))
    return { rows: ids, messages: [...kept, ...ids.filter((_, index) => rows[index]?.dispatch._tag === "Post")] }
  }, spanned("Turn.change"))

  const door: ReplyDoor = {
    delivered: outbox.delivered,
    change: (wanted, standing) => call(change(wanted, standing))
  }

  const reply = Effect.fnUntraced(function*(given: string | Reply) {
    if (destination === undefined) return yield* nowhere()
    const wanted = typeof given === "string" ? { text: given } : yield* ownKey(given)
    const problem = problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(destination)
    const handle = yield* committed(yield* rowsOfReply(spot, wanted), spot)
    if (wanted.interim !== true && wanted.ephemeral === undefined) replied(handle.delivered)
    return handle
  }, spanned("Turn.reply"))

  const respond = Effect.fnUntraced(function*(given: string | Response) {
    const url = responseUrlOf(yield* messagesHere)
    if (url === undefined) return yield* failed("this turn has no response_url: it is about no command and no button")
    if (!isResponseUrl(url, options.slackApiUrl)) return yield* failed("this response_url is not Slack's")
    const wanted = typeof given === "string" ? { text: given } : yield* ownKey(given)
    const problem = wanted.deleteOriginal === true ? undefined : problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(destination ?? { channel: "" })
    return yield* committed(yield* rowsOfResponse(spot, wanted, url), spot)
  }, spanned("Turn.respond"))

  /** A reaction to a message that is no reply of ours. */
  const reactTo = Effect.fnUntraced(function*(name: string, message: SlackMessage, remove: boolean) {
    const to = { channel: message.channel }
    const nothing = { rows: [], lane: conversation, destination: to }
    const spot = yield* spotHere(to)
    const { rows } = yield* rowsOfChange(spot, { _tag: "React", name, remove, message }, nothing)
    return yield* committed(rows, spot)
  }, spanned("Turn.react"))

  /** The last thing that somebody wrote, which is what a reaction is to unless one says otherwise. */
  const lastMessage = Effect.map(messagesHere, (messages): SlackMessage | undefined => {
    const last = messages.findLast(({ kind }) => kind === "message" || kind === "app_mention")
    return last?.channel === undefined ? undefined : { channel: last.channel, ts: last.ts }
  })

  const react = (
    given: string,
    to?: ReplyHandle | SlackMessage,
    { remove = false }: { readonly remove?: boolean } = {}
  ): Effect.Effect<ReplyHandle, TurnError> => {
    const name = given.replace(/^:|:$/g, "")
    if (to instanceof ReplyHandle) return to.through(door).react(name, { remove })
    return call(Effect.flatMap(
      to === undefined ? lastMessage : Effect.succeed(to),
      (message) =>
        message === undefined
          ? Effect.fail(failed("there is no message to react to"))
          : reactTo(name, message, remove)
    ))
  }

  const refused = (error: SpoolError) => new TurnError({ reason: new FileRefused({ detail: error.message }) })

  /** The bytes are on disk before the row is. */
  const upload = Effect.fnUntraced(function*(file: FileUpload) {
    if (destination === undefined) return yield* nowhere()
    if (file.filename.trim() === "") return yield* failed("a file without a name")
    const spot = yield* spotHere(destination)
    const staged = yield* Effect.mapError(outbox.stage(file.content), refused)
    const { row, spool } = yield* rowOfUpload(spot, yield* ownKey(file), staged)
    yield* Effect.mapError(outbox.keep(staged, spool), refused).pipe(
      Effect.tapError(() => Effect.sync(() => spot.said?.delete(row.key)))
    )
    const [stored] = yield* commit([row], spot)
    // An earlier run sent it already.
    if (stored?.state === "delivered") yield* outbox.drop(spool)
    const ids = stored === undefined ? [] : [stored.id]
    const handle = new ReplyHandle(door, ids, { messages: { rows: ids, lane: conversation, destination } })
    replied(handle.delivered)
    return handle
  }, spanned("Turn.upload"))

  /** Nothing of it is known when it begins: streams of a place are told apart by their order in it. */
  const streamSpot = Effect.fnUntraced(function*(to: Destination) {
    const spot = yield* spotHere(to)
    const nth = (begunAt.get(spot.place) ?? 0) + 1
    begunAt.set(spot.place, nth)
    return { ...spot, place: `stream:${spot.place}:${nth}` }
  })

  const stream = Effect.fnUntraced(function*(given: { readonly key?: string }) {
    if (destination === undefined) return yield* nowhere()
    const { key } = yield* ownKey(given)
    const spot = key === undefined ? yield* streamSpot(destination) : yield* spotHere(destination)
    const last = (yield* messagesHere).findLast(({ user }) => user !== undefined)
    const to = last?.user === undefined || last.direct ? {} : { user: last.user, team: last.team }
    const row = rowOfStream(spot, key, to)
    const start = (yield* commit([row], spot))[0]?.id ?? 0
    const begun: Begun = { spot, key: row.key, start }
    const standing = (rows: ReadonlyArray<number>): { messages: Messages } => ({
      messages: { rows: [start, ...rows], lane: conversation, destination }
    })
    const growing = makeReplyStream({
      handle: new ReplyHandle(door, [start], standing([])),
      shown: ofStore(outbox.streamed(start)),
      send: (markdown, nth) =>
        Effect.flatMap(
          commit([rowOfAppend(begun, markdown, `${run.attempt}:${nth}`)], spot),
          (rows) => outbox.delivered(idsOf(rows))
        ),
      commit: Effect.fnUntraced(function*(whole) {
        const ids = idsOf(yield* commit(yield* rowsOfStop(begun, whole), spot))
        const handle = new ReplyHandle(door, ids, standing(ids.slice(1)))
        if (whole.trim() !== "") replied(handle.delivered)
        return handle
      }),
      call
    })
    streams.push({ begun, growing })
    yield* Effect.forkDetach(growing.writer)
    return growing.stream
  }, spanned("Turn.stream"))

  const begin = (options: { readonly key?: string } = {}) => call(stream(options))

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
    rows: (kind: "final" | "notice" | `resume:${number}`, replies: ReadonlyArray<Reply>) =>
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
