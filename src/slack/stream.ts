/**
 * A message that grows: `chat.startStream`, `appendStream`, `stopStream`.
 *
 * Slack ends a stream by itself after some minutes, and so may the person. A stream that is over takes no more text, but
 * can be edited: the whole text is put in its place then, as it is when nobody knows how much of it has arrived. Stopping
 * twice does no harm, since only the first one adds anything.
 */
import { Effect } from "effect"
import type { Dispatch, SlackMessage } from "../Dispatch.ts"
import type { Destination } from "../Message.ts"
import { Permanent, SlackApiError } from "../SlackApi.ts"

type Of<Tag extends Dispatch["_tag"]> = Extract<Dispatch, { readonly _tag: Tag }>
type Call = (method: string, args: Record<string, unknown>) => Effect.Effect<unknown, SlackApiError>

const isOver = new Set(["message_not_in_streaming_state", "stopped_by_user"])

const isGone = ({ reason }: SlackApiError) =>
  (reason._tag === "Permanent" || reason._tag === "AlreadyDone") && reason.code === "message_not_found"

const refused = (method: string, code: string) => new SlackApiError({ method, reason: new Permanent({ code }) })

/** Slack streams only into threads. */
export const startArgs = (
  { channel, threadTs }: Destination,
  { recipientTeam, recipientUser }: Of<"StreamStart">
): Effect.Effect<Record<string, unknown>, SlackApiError> =>
  threadTs === undefined || !/^\d+\.\d+$/.test(threadTs)
    ? Effect.fail(refused("chat.startStream", "invalid_thread_ts"))
    : Effect.succeed({
      channel,
      thread_ts: threadTs,
      ...(recipientUser === undefined ? {} : { recipient_user_id: recipientUser }),
      ...(recipientTeam === undefined ? {} : { recipient_team_id: recipientTeam })
    })

/** What an attempt to stop it found: `empty` where Slack wants some text first. */
const stop = (call: Call, target: SlackMessage, markdown: string | undefined) =>
  call("chat.stopStream", {
    ...target,
    ...(markdown === undefined || markdown === "" ? {} : { markdown_text: markdown })
  }).pipe(
    Effect.as("stopped" as const),
    Effect.catch((error) => {
      const { reason } = error
      const code = reason._tag === "Permanent" || reason._tag === "AlreadyDone" ? reason.code : ""
      if (isOver.has(code)) return Effect.succeed("over" as const)
      return code === "no_text" ? Effect.succeed("empty" as const) : Effect.fail(error)
    })
  )

export const stopStream = Effect.fnUntraced(function*(call: Call, { shown, target, text }: Of<"StreamStop">) {
  if (target === undefined) return yield* refused("chat.stopStream", "message_not_found")
  const rest = shown === undefined ? undefined : text.slice(shown)
  const first = yield* stop(call, target, rest)
  if (first === "stopped" && rest !== undefined) return target
  if (first === "empty" && (yield* stop(call, target, text)) === "stopped") return target
  yield* call("chat.update", { ...target, markdown_text: text })
  return target
})

/** As it is; one that says nothing is taken away, and one that is gone has ended. */
export const endStream = Effect.fnUntraced(function*(call: Call, { target }: Of<"StreamEnd">) {
  if (target === undefined) return yield* refused("chat.stopStream", "message_not_found")
  const end = Effect.gen(function*() {
    if ((yield* stop(call, target, undefined)) === "empty") yield* call("chat.delete", { ...target })
  })
  yield* Effect.catchIf(end, isGone, () => Effect.void)
  return target
})

/** What an unfinished stream of ours looks like that nothing was said in yet. */
export const isSilent = (message: unknown, bot: string): boolean => {
  if (typeof message !== "object" || message === null) return false
  const field = (name: string): unknown => Reflect.get(message, name)
  const blocks = field("blocks")
  return field("bot_id") === bot && field("text") === "" && field("metadata") === undefined &&
    field("files") === undefined && (blocks === undefined || (Array.isArray(blocks) && blocks.length === 0))
}
