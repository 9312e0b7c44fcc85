/** The same message as the stores of the gateway get it, each in a conversation of its own, and the reply to it. */
import { ConversationKey, type InboundMessage } from "../../../src/Message.ts"
import type { NewReply } from "../../../src/OutboxStore.ts"
import { encodeMessage } from "../../../src/sql/messageJson.ts"
import { payload } from "../payload.ts"

const channelOf = (n: number) => `C0${1_000_000 + n % 200}A`
const tsOf = (n: number) => `${1_700_000_000 + n}.000100`
/** As large in the file as what the peers are given, whatever fields it is divided into. */
const bytes = payload(1).length

/** Like Slack's: they look random. */
const eventKey = (n: number) => `event:Ev0${(n * 2_654_435_761 % 2 ** 32).toString(36).toUpperCase()}${n.toString(36)}`

const shaped = (n: number, padding: string): InboundMessage => ({
  kind: "app_mention",
  conversation: ConversationKey.make(`${channelOf(n)}/${tsOf(n)}`),
  team: "T0123456789",
  channel: channelOf(n),
  self: "U0BOT",
  direct: false,
  user: "U0123456789",
  text: "hello",
  ts: tsOf(n),
  payload: { n, padding }
})

const padding = "x".repeat(bytes - JSON.stringify(shaped(1_000, "")).length)

export const messageAt = (n: number) => ({
  message: shaped(n, padding),
  keys: [eventKey(n), `message:${channelOf(n)}/${tsOf(n)}`] as const
})

/** As the file keeps it. */
export const stored = (message: InboundMessage): string => encodeMessage(message)

export const numberIn = ({ payload }: InboundMessage): number => {
  const n: unknown = typeof payload === "object" && payload !== null ? Reflect.get(payload, "n") : undefined
  return Number(n)
}

export const replyTo = (turn: string, conversation: string): NewReply => {
  const [channel = "", threadTs = ""] = conversation.split("/")
  return {
    key: `${turn}:final:0`,
    lane: ConversationKey.make(conversation),
    destination: { channel, threadTs },
    dispatch: { _tag: "Post", text: "You said: hello" }
  }
}
