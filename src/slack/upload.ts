/**
 * A file: an address is asked for, the bytes go there, and then it is shared.
 *
 * Nobody sees anything before the last step, so what comes before it may be done again. The file's id is remembered
 * before that step: it is only ever shared under one id, and looked for by it. The address that Slack names must be
 * https, or at the configured API's host; the token does not go there.
 */
import { Effect } from "effect"
import type { Dispatch, SlackMessage } from "../Dispatch.ts"
import { Ambiguous, type FileHand, NotSent, Permanent, SlackApiError } from "../SlackApi.ts"
import { fieldIn, textIn } from "../untrustedJson.ts"
import { classify, rateLimit } from "./classify.ts"

type Upload = Extract<Dispatch, { readonly _tag: "Upload" }>
type Call = (method: string, args: Record<string, unknown>) => Effect.Effect<unknown, SlackApiError>

const method = "upload"
/** Bytes that surely go out in a millisecond; what is large has longer. */
const bytesPerMs = 50

const isUploadUrl = (url: string, slackApiUrl: string): boolean => {
  if (!URL.canParse(url)) return false
  const { origin, password, protocol, username } = new URL(url)
  return username === "" && password === "" && (protocol === "https:" || origin === new URL(slackApiUrl).origin)
}

const put = Effect.fnUntraced(function*(url: string, content: Blob, timeoutMs: number) {
  const { retryAfter, status } = yield* Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body: content,
        redirect: "error",
        signal: AbortSignal.timeout(Math.ceil(timeoutMs + content.size / bytesPerMs))
      })
      await response.arrayBuffer()
      return { status: response.status, retryAfter: Number(response.headers.get("retry-after")) }
    },
    catch: (error) => new SlackApiError({ method, reason: classify(error, method) })
  })
  if (status === 200) return
  const reason = status === 429
    ? rateLimit(retryAfter)
    : status >= 500
    ? new Ambiguous({ detail: `HTTP ${status}` })
    : new Permanent({ code: `upload_refused_${status}` })
  return yield* new SlackApiError({ method, reason })
})

/** Where it was shared, as far as Slack says so. */
const shareOf = (file: unknown, channel: string): string => {
  const shares = fieldIn(file, "shares")
  for (const kind of ["public", "private"]) {
    const there = fieldIn(fieldIn(shares, kind), channel)
    const ts = Array.isArray(there) ? textIn(there.at(-1), "ts") : undefined
    if (ts !== undefined) return ts
  }
  return ""
}

export const uploadFile = Effect.fnUntraced(function*(
  call: Call,
  { channel, thread }: { readonly channel: string; readonly thread: Record<string, unknown> },
  dispatch: Upload,
  hand: FileHand | undefined,
  options: { readonly slackApiUrl: string; readonly timeoutMs: number }
): Effect.fn.Return<SlackMessage, SlackApiError> {
  if (hand === undefined) return yield* new SlackApiError({ method, reason: new Permanent({ code: "no_file" }) })
  const { comment, filename, title } = dispatch

  const bring = Effect.gen(function*() {
    const content = yield* Effect.mapError(
      hand.content,
      () => new SlackApiError({ method, reason: new Permanent({ code: "file_not_in_spool" }) })
    )
    const place = yield* call("files.getUploadURLExternal", { filename, length: content.size })
    const [id, url] = [textIn(place, "file_id"), textIn(place, "upload_url")]
    if (id === undefined || url === undefined) {
      return yield* new SlackApiError({ method, reason: new NotSent({ detail: "ok without an address" }) })
    }
    if (!isUploadUrl(url, options.slackApiUrl)) {
      return yield* new SlackApiError({ method, reason: new Permanent({ code: "upload_url_refused" }) })
    }
    yield* put(url, content, options.timeoutMs)
    yield* hand.remember(id)
    return id
  })
  const share = (id: string) =>
    Effect.as(
      call("files.completeUploadExternal", {
        files: [{ id, title: title ?? filename }],
        channel_id: channel,
        ...thread,
        ...(comment === undefined ? {} : { initial_comment: comment })
      }),
      id
    )

  const isGone = ({ reason }: SlackApiError) => reason._tag === "Permanent" && reason.code === "file_not_found"
  const again = hand.id === null ? Effect.flatMap(bring, share) : share(hand.id).pipe(
    // Slack has let go of what was never shared.
    Effect.catchIf(isGone, () => Effect.flatMap(bring, share))
  )
  const id = yield* again
  const ts = yield* call("files.info", { file: id }).pipe(
    Effect.map((answer) => shareOf(fieldIn(answer, "file"), channel)),
    Effect.catch(() => Effect.succeed(""))
  )
  return { channel, ts }
})

/** A message with this file in it. */
export const hasFile = (message: unknown, id: string): boolean => {
  const files = fieldIn(message, "files")
  return Array.isArray(files) && files.some((file) => textIn(file, "id") === id)
}
