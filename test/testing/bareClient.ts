/** A bare WebSocket on a fresh ticket of a LocalSlack, and what it sees in order. */
import { Effect, Queue } from "effect"
import { WebSocket } from "ws"
import { LocalSlack } from "../../src/testing/index.ts"

/** The address for a new WebSocket. */
export const ticket = Effect.gen(function*() {
  const slack = yield* LocalSlack
  const response = yield* Effect.promise(() =>
    fetch(`${slack.apiUrl}apps.connections.open`, { method: "POST", headers: { authorization: "Bearer xapp-1" } })
  )
  const { url } = (yield* Effect.promise(() => response.json())) as { readonly url: string }
  return url
})

/** Sees frames as they are, and "ping", "pong", "close" and "refused <status>". */
export const bareClient = Effect.gen(function*() {
  const seen = yield* Queue.unbounded<string>()
  const url = yield* ticket
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocket(url)),
    (socket) => Effect.sync(() => socket.terminate())
  )
  const note = (what: string) => () => {
    Queue.offerUnsafe(seen, what)
  }
  socket.on("ping", note("ping")).on("pong", note("pong")).on("close", note("close")).on("error", () => undefined)
  socket.on("unexpected-response", (_request, response) => note(`refused ${response.statusCode}`)())
  socket.on("message", (data) => note(String(data))())
  return { socket, next: Queue.take(seen), seen }
})

/** One that Slack has greeted. */
export const greeted = Effect.gen(function*() {
  const client = yield* bareClient
  const hello = yield* client.next
  if (!hello.includes("\"hello\"")) return yield* Effect.die(new Error(`no hello: ${hello}`))
  return { ...client, hello: JSON.parse(hello) as Hello }
})

interface Hello {
  readonly num_connections: number
  readonly debug_info: { readonly approximate_connection_time: number }
}
