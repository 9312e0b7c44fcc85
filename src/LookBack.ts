/**
 * One look back: what was said in Slack since a moment, read from the history of the channels that the bot is in, and
 * handed to Intake.
 *
 * Channels in which the bot was at work last come first. Of each it reads what was said since, and the new replies in
 * threads whose root is within the age bound; after that, the threads beyond it in which the bot had a turn. What was
 * said in one channel is handed over in the order in which it was said.
 * Bounded by age, by calls and by Slack's limits, of which it leaves a part to those who look for replies. What it did
 * not look at is counted, by why. A channel that cannot be read just now fails a `patient` look, to be repeated.
 * Does not: find commands, buttons, reactions, edits or deletions, which no history tells; or decide when to look.
 */
import { Clock, Data, Duration, Effect, Option } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { Intake } from "./Intake.ts"
import { MessageStore } from "./MessageStore.ts"
import { Pace } from "./Pace.ts"
import { type ChannelKind, channelKinds, type Identity, type Page, SlackApi, type SlackApiError } from "./SlackApi.ts"
import { caughtUp, counted, notLookedAt } from "./Telemetry.ts"
import { fieldIn, textIn } from "./untrustedJson.ts"

/** Slack's clock and ours differ, and a connection may be dead for a while before anybody knows (ms). */
const overlap = 120_000
/** Of what Slack allows in a minute, what is taken for looking back. */
const share = { perMinute: 40 }
const limits = new Map([
  ["users.conversations", share],
  ["conversations.history", share],
  ["conversations.replies", share]
])
/** Of one listing; a channel's messages are held in memory until they are in order. */
const mostPages = 25
/** Conversations of the past that are asked for. */
const mostRecent = 500
/** Slack's names for a kind: in events, and in scopes. */
const typeOf = { im: "im", mpim: "mpim", private_channel: "group", public_channel: "channel" } as const
const scopeOf = { im: "im", mpim: "mpim", private_channel: "groups", public_channel: "channels" } as const
/** Then there is nothing to look at any more. */
const gone = new Set(["channel_not_found", "is_archived", "not_in_channel", "thread_not_found"])

/** Why something was not looked at: too old, more than the bounds, a right that is lacking, or Slack did not answer. */
export type Missed = "age" | "calls" | "pages" | "scope" | "refused" | "failed"

export interface Look {
  /** Messages that were not known. */
  recovered: number
  known: number
  calls: number
  readonly missed: Map<Missed, number>
  /** Scopes that the token lacks. */
  readonly scopes: Set<string>
}

interface Place {
  readonly channel: string
  readonly kind: ChannelKind
}

class OutOfCalls extends Data.TaggedError("OutOfCalls") {}

/** Epoch ms of a `ts`. */
const at = (ts: string) => Number(ts) * 1_000

/** A message of a listing as the event that Slack would have sent. */
const asEvent = (message: object, ts: string, { channel, kind }: Place, self: Identity) => {
  const { thread_ts: thread, ...rest } = { thread_ts: textIn(message, "thread_ts"), ...message }
  const files = fieldIn(message, "files")
  const event = {
    ...rest,
    type: "message",
    ...(Array.isArray(files) && files.length > 0 && textIn(message, "subtype") === undefined
      ? { subtype: "file_share" }
      : {}),
    // Listings call a root with replies a part of its own thread; its event did not.
    ...(thread === undefined || thread === ts ? {} : { thread_ts: thread }),
    channel,
    channel_type: typeOf[kind],
    event_ts: ts
  }
  return { type: "event_callback", team_id: self.team, event }
}

const isOwn = (message: unknown, self: Identity) =>
  textIn(message, "user") === self.user || (self.bot !== "" && textIn(message, "bot_id") === self.bot)

export const makeLookBack = Effect.gen(function*() {
  const { allowChannels, catchUpAge, catchUpCalls, keyHorizon, paceInterval } = yield* GatewayConfig
  const api = yield* SlackApi
  const intake = yield* Intake
  const store = yield* MessageStore
  const pace = new Pace(Duration.toMillis(paceInterval), 1, limits)

  /** Looks at everything since then (epoch ms) that the bounds leave. */
  return Effect.fn("CatchUp.look")(function*(since: number, patient: boolean) {
    const startedAt = yield* Clock.currentTimeMillis
    const reach = startedAt - Duration.toMillis(catchUpAge)
    const oldest = Math.max(since - overlap, reach)
    const look: Look = { recovered: 0, known: 0, calls: 0, missed: new Map(), scopes: new Set() }
    /** Kinds of channels whose history the token may not read. */
    const unreadable = new Set<ChannelKind>()
    const self = yield* api.identity

    const missed = (why: Missed) =>
      Effect.suspend(() => {
        look.missed.set(why, (look.missed.get(why) ?? 0) + 1)
        return counted(notLookedAt, why)
      })

    /** One call, as soon as Slack's limits allow it. */
    const call = Effect.fnUntraced(function*<A>(method: string, run: Effect.Effect<A, SlackApiError>) {
      while (look.calls < catchUpCalls) {
        let now = yield* Clock.currentTimeMillis
        while (!pace.take("", now, method)) {
          yield* Effect.sleep(Math.max(1, pace.openAt(now, method) - now))
          now = yield* Clock.currentTimeMillis
        }
        look.calls += 1
        const answer = yield* Effect.result(run)
        if (answer._tag === "Success") return answer.success
        const { reason } = answer.failure
        if (reason._tag !== "RateLimited") return yield* answer.failure
        now = yield* Clock.currentTimeMillis
        pace.pause("", now, now + reason.retryAfterMs, method)
      }
      return yield* new OutOfCalls()
    })

    /** What cannot be read is left out where only a person can change that, or when patience has ended. */
    const leaveOut = (kind: ChannelKind, right: "read" | "history") =>
      Effect.fnUntraced(function*(error: OutOfCalls | SlackApiError) {
        if (error._tag === "OutOfCalls") return yield* missed("calls")
        const { reason } = error
        if (reason._tag === "Permanent" && gone.has(reason.code)) return
        if (reason._tag === "Configuration" && reason.code === "missing_scope") {
          look.scopes.add(`${scopeOf[kind]}:${right}`)
          unreadable.add(kind)
          return yield* missed("scope")
        }
        if (reason._tag === "Configuration" || reason._tag === "Permanent") return yield* missed("refused")
        if (patient || right === "read") return yield* error
        yield* missed("failed")
      })

    /** All of a listing, or as much as can be had. */
    const all = Effect.fnUntraced(function*<A>(
      method: string,
      what: { readonly kind: ChannelKind; readonly right: "read" | "history" },
      page: (cursor?: string) => Effect.Effect<Page<A>, SlackApiError>
    ) {
      const items: Array<A> = []
      let cursor: string | undefined
      for (let n = 0; n < mostPages; n++) {
        const one = yield* Effect.result(call(method, page(cursor)))
        if (one._tag === "Failure") {
          yield* leaveOut(what.kind, what.right)(one.failure)
          return items
        }
        items.push(...one.success.items)
        cursor = one.success.cursor
        if (cursor === undefined) return items
      }
      yield* missed("pages")
      return items
    })

    const replies = (place: Place, threadTs: string) =>
      all(
        "conversations.replies",
        { ...place, right: "history" },
        (cursor) => api.replies({ channel: place.channel, threadTs }, oldest, cursor)
      )

    /** Hands them to Intake in the order in which they were said. */
    const tell = Effect.fnUntraced(function*(place: Place, listed: ReadonlyArray<unknown>) {
      const messages = new Map<string, object>()
      for (const message of listed) {
        const ts = textIn(message, "ts")
        const isEvent = typeof message === "object" && message !== null && fieldIn(message, "hidden") !== true
        if (isEvent && ts !== undefined && at(ts) >= oldest && !isOwn(message, self)) messages.set(ts, message)
      }
      for (const [ts, message] of [...messages].toSorted(([a], [b]) => a < b ? -1 : 1)) {
        const became = yield* intake.recover(asEvent(message, ts, place, self), self)
        const isNew = Option.isSome(became) && became.value !== "Duplicate"
        look[isNew ? "recovered" : "known"] += 1
        yield* counted(caughtUp, isNew ? "new" : "known")
      }
    })

    const lookInto = Effect.fnUntraced(function*(place: Place) {
      if (unreadable.has(place.kind)) return yield* missed("scope")
      // From further back than the messages that are wanted: for the threads that have new replies.
      const listed = yield* all(
        "conversations.history",
        { ...place, right: "history" },
        (cursor) => api.history(place.channel, reach, cursor)
      )
      const found = [...listed]
      for (const root of listed) {
        const [ts, latest] = [textIn(root, "ts"), textIn(root, "latest_reply")]
        if (ts !== undefined && latest !== undefined && at(latest) >= oldest) {
          found.push(...(yield* replies(place, ts)))
        }
      }
      yield* tell(place, found)
    })

    if (since < reach) yield* missed("age")
    const places = new Map<string, Place>()
    for (const kind of channelKinds) {
      const channels = yield* all(
        "users.conversations",
        { kind, right: "read" },
        (cursor) => api.conversations(kind, cursor)
      )
      for (const channel of channels) {
        if (allowChannels.length === 0 || allowChannels.includes(channel)) places.set(channel, { channel, kind })
      }
    }

    const recent = (yield* store.recentConversations(startedAt - Duration.toMillis(keyHorizon), mostRecent))
      .map((conversation) => conversation.split("/"))
    const order = new Set([...recent.map(([channel = ""]) => channel), ...places.keys()])
    for (const channel of order) {
      const place = places.get(channel)
      if (place !== undefined) yield* lookInto(place)
    }
    for (const [channel = "", threadTs] of recent) {
      const place = places.get(channel)
      if (place === undefined || threadTs === undefined || !(at(threadTs) < reach)) continue
      if (unreadable.has(place.kind)) yield* missed("scope")
      else yield* tell(place, yield* replies(place, threadTs))
    }
    return look
  })
})
