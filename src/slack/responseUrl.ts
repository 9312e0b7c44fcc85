/**
 * The address at which a slash command or a button is answered. It is no Web API method: plain HTTP, no token, and an
 * answer in words.
 *
 * Only Slack's own host, or the configured API's, is called; redirects are refused. The address never appears in an
 * error.
 */
import { Effect } from "effect"
import { isResponseUrl } from "../Dispatch.ts"
import { Permanent, SlackApiError } from "../SlackApi.ts"
import { classify, ofResponse, responding } from "./classify.ts"

const method = responding

export const respond = Effect.fnUntraced(function*(
  url: string,
  body: Record<string, unknown>,
  options: { readonly slackApiUrl: string; readonly timeoutMs: number }
) {
  if (!isResponseUrl(url, options.slackApiUrl)) {
    return yield* new SlackApiError({ method, reason: new Permanent({ code: "response_url_refused" }) })
  }
  const answer = yield* Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json; charset=utf-8" },
        body: JSON.stringify(body),
        redirect: "error",
        signal: AbortSignal.timeout(options.timeoutMs)
      })
      return { status: response.status, retryAfter: response.headers.get("retry-after"), text: await response.text() }
    },
    catch: (error) => new SlackApiError({ method, reason: classify(error, method) })
  })
  const reason = ofResponse(answer)
  if (reason !== undefined) return yield* new SlackApiError({ method, reason })
})
