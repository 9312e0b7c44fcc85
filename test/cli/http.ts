/** What these tests ask over HTTP: the gateway's own endpoints, and the Slack inside a `slackwater dev`. */
import { Effect } from "effect"
import type { Process } from "./process.ts"

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Status 0: nobody answered. */
export const request = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    try {
      const response = await fetch(url, {
        ...init,
        headers: { connection: "close" },
        signal: AbortSignal.timeout(10_000)
      })
      return {
        status: response.status,
        type: response.headers.get("content-type") ?? "",
        body: await response.text()
      }
    } catch {
      return { status: 0, type: "", body: "" }
    }
  })

export interface Message {
  readonly ts: string
  readonly text: string
  readonly user?: string
  readonly bot_id?: string
}

/** The Slack inside a `slackwater dev`, and the gateway it started last. */
export const chatOf = Effect.fnUntraced(function*(dev: Process) {
  const url = (yield* dev.awaitOutput(/^Chat: +(http:\S+)\/$/))[1] ?? ""
  return {
    url,
    /** The pid of the gateway that was started as number `nth`. */
    gateway: (nth = 1) => Effect.map(dev.awaitOutput(/^Gateway: +pid (\d+)/, nth), (match) => Number(match[1])),
    say: (text: string, channel = "D0ALICE") =>
      request(`${url}/_local/messages`, {
        method: "POST",
        body: JSON.stringify({ channel, user: "U0ALICE", text })
      }),
    /** What the bot wrote, in order. */
    replies: (channel = "D0ALICE") =>
      Effect.map(request(`${url}/_local/messages?channel=${channel}`), ({ body }): ReadonlyArray<string> => {
        const { messages = [] }: { readonly messages?: ReadonlyArray<Message> } = body === "" ? {} : JSON.parse(body)
        return messages.filter((message) => message.bot_id !== undefined).map((message) => message.text)
      })
  }
})
