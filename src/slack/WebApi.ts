/**
 * The Web API through `@slack/web-api`.
 *
 * The client's own retries are off (it would post twice after a reset), a rate limit is an answer and not a pause of
 * everything, each call has a timeout, and absolute addresses are refused. A post carries an opaque key in its
 * metadata, by which it is found again.
 */
import { WebClient } from "@slack/web-api"
import { Cause, Context, Duration, Effect, Exit, Layer, Option, Redacted } from "effect"
import type { Content, Dispatch, SlackMessage } from "../Dispatch.ts"
import { GatewayConfig, type Settings } from "../GatewayConfig.ts"
import type { Destination } from "../Message.ts"
import { monotonicMillis } from "../monotonic.ts"
import {
  Ambiguous,
  type FileHand,
  Permanent,
  SlackApi,
  SlackApiError,
  type SlackApiReason,
  type Sought
} from "../SlackApi.ts"
import { spanned } from "../spanned.ts"
import { apiCallTime, observed } from "../Telemetry.ts"
import { fieldIn, textIn } from "../untrustedJson.ts"
import { classify } from "./classify.ts"
import { listings } from "./listings.ts"
import { respond } from "./responseUrl.ts"
import { silent } from "./silent.ts"
import { endStream, isSilent, startArgs, stopStream } from "./stream.ts"
import { hasFile, uploadFile } from "./upload.ts"

const eventType = "slackwater_reply"
/** Slack's clock and ours may differ by this much when looking back (ms). */
const skew = 120_000
/** And by this much when ours was wrong for a while: what is not found near its time is looked for in such a distance. */
const farSkew = 7_200_000
const pageSize = 200
const maxPages = 5
const answersWithin = "5 seconds"

const carries = (message: unknown, key: string) => {
  const metadata = fieldIn(message, "metadata")
  return fieldIn(metadata, "event_type") === eventType && fieldIn(fieldIn(metadata, "event_payload"), "key") === key
}

const contentArgs = ({ blocks, markdown, text }: Content) =>
  markdown === undefined ? { text, ...(blocks === undefined ? {} : { blocks }) } : { markdown_text: markdown }

/** Makes one call, and says what Slack's answer means where it is no success. */
type Ask = (method: string, args: Record<string, unknown>) => Effect.Effect<object, SlackApiReason>

const throughClient = (config: Settings): Ask => {
  const client = new WebClient(Redacted.value(config.botToken), {
    slackApiUrl: config.slackApiUrl,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: Duration.toMillis(config.requestTimeout),
    allowAbsoluteUrls: false,
    logger: silent
  })
  return (method, args) =>
    Effect.tryPromise({ try: () => client.apiCall(method, args), catch: (error) => classify(error, method) })
}

/** Who makes the calls: Slack's client, unless a simulation answers them without HTTP. */
export const Caller = Context.Reference<(config: Settings) => Ask>("slackwater/slack/Caller", {
  defaultValue: () => throughClient
})

/** A span of its own, and its time by what became of it. */
const measured = (method: string) => <A>(effect: Effect.Effect<A, SlackApiError>): Effect.Effect<A, SlackApiError> =>
  Effect.flatMap(monotonicMillis, (begun) =>
    Effect.onExit(effect, (exit) =>
      Effect.flatMap(monotonicMillis, (now) => {
        const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
        const outcome = Exit.isSuccess(exit) ? "ok" : Option.match(failure, {
          // Cut off, as at a stop: it may have happened.
          onNone: () => "Ambiguous",
          onSome: ({ reason }) => reason._tag
        })
        return observed(apiCallTime, now - begun, { method, outcome })
      }))).pipe(spanned("SlackApi.call", { kind: "client", attributes: { method } }))

export const layer: Layer.Layer<SlackApi, never, GatewayConfig> = Layer.effect(
  SlackApi,
  Effect.gen(function*() {
    const config = yield* GatewayConfig
    const ask = (yield* Caller)(config)

    const call = (method: string, args: Record<string, unknown> = {}) =>
      measured(method)(Effect.mapError(ask(method, args), (reason) => new SlackApiError({ method, reason })))

    const senseless = (method: string, detail: string) =>
      new SlackApiError({ method, reason: new Ambiguous({ detail }) })

    const refused = (method: string, code: string) => new SlackApiError({ method, reason: new Permanent({ code }) })

    /** A thread that is not one fails here: Slack would take an empty one for the channel. */
    const threadOf = (method: string, { threadTs }: Destination) =>
      threadTs === undefined
        ? Effect.succeed({})
        : /^\d+\.\d+$/.test(threadTs)
        ? Effect.succeed({ thread_ts: threadTs })
        : Effect.fail(refused(method, "invalid_thread_ts"))

    const change = (method: string, target: SlackMessage | undefined, args: Record<string, unknown>) =>
      target === undefined
        ? Effect.fail(refused(method, "message_not_found"))
        : Effect.as(call(method, args), target)

    /** A post to a person went to the direct message with them. */
    const channelOf = (destination: Destination) =>
      /^[UW]/.test(destination.channel)
        ? Effect.flatMap(call("conversations.open", { users: destination.channel }), (answer) => {
          const id = textIn(fieldIn(answer, "channel"), "id")
          return id === undefined ? senseless("conversations.open", "ok without a channel") : Effect.succeed(id)
        })
        : Effect.succeed(destination.channel)

    const outside = { slackApiUrl: config.slackApiUrl, timeoutMs: Duration.toMillis(config.requestTimeout) }

    const send = Effect.fnUntraced(function*(
      destination: Destination,
      dispatch: Dispatch,
      key: string,
      file?: FileHand
    ) {
      const { channel } = destination
      switch (dispatch._tag) {
        case "Post": {
          const answer = yield* call("chat.postMessage", {
            channel,
            ...contentArgs(dispatch),
            metadata: { event_type: eventType, event_payload: { key } },
            ...(yield* threadOf("chat.postMessage", destination))
          })
          const ts = textIn(answer, "ts")
          if (ts === undefined) return yield* senseless("chat.postMessage", "ok without a ts")
          return { channel: textIn(answer, "channel") ?? channel, ts }
        }
        case "Update": {
          const { target } = dispatch
          return yield* change("chat.update", target, { ...target, ...contentArgs(dispatch) })
        }
        case "Delete": {
          const { target } = dispatch
          return yield* change("chat.delete", target, { ...target })
        }
        case "React": {
          const { name, remove, target } = dispatch
          const method = remove === true ? "reactions.remove" : "reactions.add"
          return yield* change(method, target, { channel: target?.channel, timestamp: target?.ts, name })
        }
        case "StreamStart": {
          const answer = yield* call("chat.startStream", yield* startArgs(destination, dispatch))
          const ts = textIn(answer, "ts")
          if (ts === undefined) return yield* senseless("chat.startStream", "ok without a ts")
          return { channel: textIn(answer, "channel") ?? channel, ts }
        }
        case "StreamAppend": {
          const { markdown, target } = dispatch
          return yield* change("chat.appendStream", target, { ...target, markdown_text: markdown })
        }
        case "StreamStop":
          return yield* stopStream(call, dispatch)
        case "Upload": {
          const thread = yield* threadOf("files.completeUploadExternal", destination)
          return yield* uploadFile(call, { channel: yield* channelOf(destination), thread }, dispatch, file, outside)
        }
        case "StreamEnd":
          return yield* endStream(call, dispatch)
        case "Ephemeral": {
          const answer = yield* call("chat.postEphemeral", {
            channel,
            user: dispatch.user,
            ...contentArgs(dispatch),
            ...(yield* threadOf("chat.postEphemeral", destination))
          })
          return { channel, ts: textIn(answer, "message_ts") ?? "" }
        }
        case "Respond": {
          const { deleteOriginal, replaceOriginal, responseType, url } = dispatch
          yield* measured("response_url")(respond(url, {
            ...(deleteOriginal === true ? { delete_original: true } : contentArgs(dispatch)),
            replace_original: replaceOriginal === true,
            ...(responseType === undefined ? {} : { response_type: responseType }),
            ...(yield* threadOf("response_url", destination))
          }, outside))
          return { channel, ts: "" }
        }
      }
    }, spanned("SlackApi.send"))

    const setStatus = (destination: Required<Destination>, status: string) =>
      Effect.asVoid(call("assistant.threads.setStatus", {
        channel_id: destination.channel,
        thread_ts: destination.threadTs,
        status
      }))

    const identity = Effect.flatMap(call("auth.test"), (answer) => {
      const user = textIn(answer, "user_id")
      return user === undefined
        ? senseless("auth.test", "ok without a user")
        : Effect.succeed({ team: textIn(answer, "team_id") ?? "", user, bot: textIn(answer, "bot_id") ?? "" })
    })

    const find = Effect.fn("SlackApi.find")(function*(
      destination: Destination,
      key: string,
      since: number,
      { kind, remote }: Sought = { kind: "Post", remote: null }
    ) {
      const channel = yield* channelOf(destination)
      const { bot } = kind === "StreamStart" ? yield* identity : { bot: "" }
      const isIt = (message: unknown) =>
        kind === "StreamStart"
          ? isSilent(message, bot)
          : kind === "Upload"
          ? remote !== null && hasFile(message, remote)
          : carries(message, key)
      const method = destination.threadTs === undefined ? "conversations.history" : "conversations.replies"

      /** `isAll` unless there is more than we read. */
      const lookThrough = Effect.fnUntraced(function*(skew: number) {
        let newest: string | null = null
        let cursor: string | undefined
        for (let page = 0; page < maxPages; page++) {
          const answer = yield* call(method, {
            channel,
            oldest: (Math.max(0, since - skew) / 1_000).toFixed(6),
            // No request is still on its way after its timeout: what is younger cannot be this post.
            latest: ((since + skew + Duration.toMillis(config.requestTimeout)) / 1_000).toFixed(6),
            inclusive: true,
            limit: pageSize,
            include_all_metadata: true,
            ...(destination.threadTs === undefined ? {} : { ts: destination.threadTs }),
            ...(cursor === undefined ? {} : { cursor })
          }).pipe(
            // The thread is gone, and what we may have posted into it with it.
            Effect.catchIf(
              (error) => error.reason._tag === "Permanent" && error.reason.code === "thread_not_found",
              () => Effect.succeed({ messages: [] })
            )
          )
          const messages = fieldIn(answer, "messages")
          if (!Array.isArray(messages)) return yield* senseless(method, "ok without messages")
          const found = textIn(messages.findLast(isIt), "ts")
          if (found !== undefined) return { ts: found, newest: found, isAll: true }
          for (const message of messages) {
            const ts = textIn(message, "ts")
            if (ts !== undefined && (newest === null || Number(ts) > Number(newest))) newest = ts
          }
          cursor = textIn(fieldIn(answer, "response_metadata"), "next_cursor")
          if (cursor === undefined) return { ts: null, newest, isAll: true }
        }
        return { ts: null, newest, isAll: false }
      })

      const near = yield* lookThrough(skew)
      // There is more than we read: what was not seen is not absent.
      if (!near.isAll) return yield* senseless(method, "more messages than can be looked through")
      // What has no key of ours would be taken for another one in the distance.
      if (near.ts !== null || kind === "StreamStart") return { channel, ts: near.ts, newest: near.newest }
      const far = yield* lookThrough(farSkew)
      return { channel, ts: far.ts, newest: far.ts ?? near.newest }
    })

    const answers = call("api.test").pipe(
      Effect.as(true),
      // Words of Slack's, refusals too, come from a host that answers.
      Effect.catch(({ reason }) => Effect.succeed(reason._tag !== "NotSent" && reason._tag !== "Ambiguous")),
      Effect.timeoutOrElse({ duration: answersWithin, orElse: () => Effect.succeed(false) }),
      Effect.withSpan("SlackApi.answers")
    )

    return SlackApi.of({ identity, answers, send, setStatus, find, ...listings(call) })
  })
)
