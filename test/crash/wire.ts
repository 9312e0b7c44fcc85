/**
 * The Web API calls that a LocalSlack was sent, with the parts its journal leaves out: which run sent the call (its bot
 * token), the thread, and the key in a post's metadata.
 *
 * Listens to Node's own HTTP server in this process and changes nothing. A request counts when its body is complete,
 * which is just before LocalSlack acts on it, so the order here is the order of what happened there.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type { IncomingMessage } from "node:http"
import { LocalSlack } from "slackwater/testing"

export interface Call {
  /** `Gateway.run` of the sender. */
  readonly run: number
  readonly method: string
  readonly channel: string | null
  readonly threadTs: string | null
  /** The opaque key that travels with a post. */
  readonly key: string | null
}

const channel = "http.server.request.start"

const keyIn = (metadata: string | null): string | null => {
  if (metadata === null) return null
  const { event_payload }: { readonly event_payload?: { readonly key?: string } } = JSON.parse(metadata)
  return event_payload?.key ?? null
}

/** All calls from now on, in order; the list grows while the scope is open. */
export const tap: Effect.Effect<ReadonlyArray<Call>, never, LocalSlack | Scope.Scope> = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const calls: Array<Call> = []
  const onStart = (message: unknown) => {
    const { request } = message as { readonly request: IncomingMessage }
    const path = request.url ?? ""
    const run = /^Bearer xoxb-test-(\d+)$/.exec(request.headers.authorization ?? "")?.[1]
    if (request.socket.localPort !== slack.port || !path.startsWith("/api/") || run === undefined) return
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const parameters = new URLSearchParams(Buffer.concat(chunks).toString("utf8"))
      const method = path.slice("/api/".length)
      calls.push({
        run: Number(run),
        method,
        channel: parameters.get("channel"),
        threadTs: parameters.get(method === "conversations.replies" ? "ts" : "thread_ts"),
        key: keyIn(parameters.get("metadata"))
      })
    })
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => subscribe(channel, onStart)),
    () => Effect.sync(() => unsubscribe(channel, onStart))
  )
  return calls
})
