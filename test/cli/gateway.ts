/** `slackwater run` as a process, against the LocalSlack of the test. */
import { Effect } from "effect"
import type { Snapshot } from "../../src/GatewayStatus.ts"
import { type JournalEntry, LocalSlack } from "../../src/testing/index.ts"
import { freePort } from "../fixtures/ask.ts"
import { request } from "./http.ts"
import { connected, directory, eventually, slackwater, tokens } from "./process.ts"

/** Starts it in `cwd`, with a module or with flags, and does not wait for anything. */
export const startGateway = Effect.fnUntraced(function*(
  handler: string | ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>> = {},
  given?: string
) {
  const slack = yield* LocalSlack
  const cwd = given ?? (yield* directory)
  const port = yield* freePort
  const running = yield* slackwater(["run", ...(typeof handler === "string" ? [handler] : handler)], {
    cwd,
    env: { ...tokens, SLACK_API_URL: slack.apiUrl, SLACKWATER_PORT: String(port), ...env }
  })
  const get = (path: string) => request(`http://127.0.0.1:${port}${path}`)
  return {
    cwd,
    running,
    slack,
    get,
    /** Undefined when nobody answers. */
    status: Effect.map(
      get("/api/status"),
      ({ body, status }): Snapshot | undefined => status === 200 ? JSON.parse(body) : undefined
    ),
    /** What the bot wrote, in order. */
    replies: Effect.map(
      slack.messages("D0ALICE"),
      (messages) => messages.filter((message) => message.bot_id !== undefined).map((message) => message.text)
    ),
    say: (text: string) => slack.say({ channel: "D0ALICE", user: "U0ALICE", text })
  }
})

/** Waits until it is connected. */
export const gateway = Effect.fnUntraced(function*(...options: Parameters<typeof startGateway>) {
  const started = yield* startGateway(...options)
  yield* started.running.awaitOutput(connected)
  return started
})

export type Gateway = Effect.Success<ReturnType<typeof startGateway>>

/** Waits until the bot wrote so many messages, and answers them. */
export const awaitReplies = (gateway: Gateway, count: number) =>
  eventually(`${count} replies`, gateway.replies, (replies) => replies.length >= count, gateway.running)

/** For `awaitJournal`. */
export const called = (method: string) => (entry: JournalEntry) => entry._tag === "ApiCall" && entry.method === method
