/**
 * What one run of a turn says: replies, changes of them, reactions, answers to commands.
 *
 * Owns what was said in a run, and with it the idempotency keys: the same reply in a re-run is recognised, in whatever
 * order, and another one is a new reply. What is said inside a step is the step's own; in a later call of a route the
 * keys that the handler gives are the call's own.
 * Guarantees: what it answers is on disk. Does not: know when the run is over (Turn does).
 */
import { Effect } from "effect"
import { CurrentCall, CurrentStep, ownName } from "./CurrentWork.ts"
import { isResponseUrl, problemOf, type Response, responseUrlOf, type SlackMessage } from "./Dispatch.ts"
import type { ConversationKey, Destination, InboundMessage, Reply } from "./Message.ts"
import type { Outbox } from "./Outbox.ts"
import type { NewReply, TurnRun } from "./OutboxStore.ts"
import { type Change, type Messages, type ReplyDoor, ReplyHandle } from "./ReplyHandle.ts"
import { rowsOfChange, rowsOfReply, rowsOfResponse, type Spot } from "./replyRows.ts"
import type { StoreError } from "./StoreError.ts"
import { ReplyFailed, TurnError } from "./TurnError.ts"

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

  const nowhere = failed("this turn came from nowhere one could answer: no channel and no user")

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
      Effect.map((stored) => stored.map(({ id }) => id)),
      // Said again it is the same reply, whether the failed attempt got to the disk or not.
      Effect.tapError(() => Effect.sync(() => rows.forEach(({ key }) => said?.delete(key))))
    )

  const committed = Effect.fnUntraced(function*(rows: ReadonlyArray<NewReply>, spot: Spot) {
    const ids = yield* commit(rows, spot)
    return new ReplyHandle(door, ids, { messages: { rows: ids, lane: conversation, destination: spot.destination } })
  })

  const change = Effect.fn("Turn.change")(function*(given: Change, standing: Messages) {
    const wanted = given._tag === "Update" ? { ...given, reply: yield* ownKey(given.reply) } : given
    const problem = wanted._tag === "Update" ? problemOf(wanted.reply) : undefined
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(standing.destination)
    const { kept, rows } = yield* rowsOfChange(spot, wanted, standing)
    const ids = yield* commit(rows, spot)
    return { rows: ids, messages: [...kept, ...ids.filter((_, index) => rows[index]?.dispatch._tag === "Post")] }
  })

  const door: ReplyDoor = {
    delivered: outbox.delivered,
    change: (wanted, standing) => call(change(wanted, standing))
  }

  const reply = Effect.fn("Turn.reply")(function*(given: string | Reply) {
    if (destination === undefined) return yield* nowhere
    const wanted = typeof given === "string" ? { text: given } : yield* ownKey(given)
    const problem = problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(destination)
    const handle = yield* committed(yield* rowsOfReply(spot, wanted), spot)
    if (wanted.interim !== true && wanted.ephemeral === undefined) replied(handle.delivered)
    return handle
  })

  const respond = Effect.fn("Turn.respond")(function*(given: string | Response) {
    const url = responseUrlOf(yield* messagesHere)
    if (url === undefined) return yield* failed("this turn has no response_url: it is about no command and no button")
    if (!isResponseUrl(url, options.slackApiUrl)) return yield* failed("this response_url is not Slack's")
    const wanted = typeof given === "string" ? { text: given } : yield* ownKey(given)
    const problem = wanted.deleteOriginal === true ? undefined : problemOf(wanted)
    if (problem !== undefined) return yield* failed(problem)
    const spot = yield* spotHere(destination ?? { channel: "" })
    return yield* committed(yield* rowsOfResponse(spot, wanted, url), spot)
  })

  /** A reaction to a message that is no reply of ours. */
  const reactTo = Effect.fn("Turn.react")(function*(name: string, message: SlackMessage, remove: boolean) {
    const to = { channel: message.channel }
    const nothing = { rows: [], lane: conversation, destination: to }
    const spot = yield* spotHere(to)
    const { rows } = yield* rowsOfChange(spot, { _tag: "React", name, remove, message }, nothing)
    return yield* committed(rows, spot)
  })

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

  return {
    turn: {
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
          Effect.forEach(replies, (item, index) => rowsOfReply(spotAt(`${kind}:${index}`, destination), item)),
          (rows) => rows.flat()
        )
  }
}
