/**
 * What Slack puts on the wire, decoded at the border.
 *
 * Owns the schemas of envelopes and the pure step from an envelope to an `InboundMessage` with its identities.
 * Nothing is thrown away: what does not decode becomes `undecodable` with the reason, so that it can be stored,
 * acked and looked at, instead of being redelivered for ever.
 *
 * Shapes: docs.slack.dev "Using Socket Mode" and "Events API"; an envelope without an inner event is real
 * (`app_rate_limited`).
 */
import { Result, Schema } from "effect"
import { ConversationKey, type InboundMessage } from "./Message.ts"
import { fieldIn, textIn } from "./untrustedJson.ts"

/** One envelope as it came from a connection. `payload` is untrusted JSON. */
export interface Envelope {
  readonly id: string
  readonly type: string
  readonly payload: unknown
  /** Slack's count of earlier attempts. Never a reason to drop. */
  readonly retryNum: number
  readonly retryReason: string
}

/** An envelope, understood: the message, and the keys by which a repetition is recognised. */
export interface Decoded {
  readonly message: InboundMessage
  /** Most specific first. Two envelopes that share a key are the same event. */
  readonly keys: ReadonlyArray<string>
  /** Why it could not be understood; such a message is kept as `ignored`. */
  readonly undecodable?: string
}

const text = Schema.optionalKey(Schema.NullOr(Schema.String))
const Id = Schema.NonEmptyString.check(Schema.isMaxLength(256))

const Inner = Schema.Struct({
  type: Id,
  subtype: text,
  channel: Schema.optionalKey(Schema.Unknown),
  channel_type: text,
  user: Schema.optionalKey(Schema.Unknown),
  bot_id: text,
  text,
  ts: text,
  event_ts: text,
  thread_ts: text,
  item: Schema.optionalKey(Schema.Unknown),
  message: Schema.optionalKey(Schema.Unknown),
  previous_message: Schema.optionalKey(Schema.Unknown)
})

const EventsApi = Schema.Struct({
  team_id: text,
  event_id: Schema.optionalKey(Id),
  event_time: Schema.optionalKey(Schema.Finite),
  event: Inner
})

const SlashCommand = Schema.Struct({
  command: Id,
  text,
  team_id: text,
  channel_id: text,
  user_id: Id,
  trigger_id: text
})

const Interactive = Schema.Struct({
  type: Id,
  team: Schema.optionalKey(Schema.NullOr(Schema.Struct({ id: Schema.String }))),
  user: Schema.Struct({ id: Id }),
  trigger_id: text,
  action_ts: text,
  channel: Schema.optionalKey(Schema.NullOr(Schema.Struct({ id: Schema.String }))),
  container: Schema.optionalKey(Schema.Struct({ message_ts: text, thread_ts: text, channel_id: text })),
  message: Schema.optionalKey(Schema.NullOr(Schema.Struct({ ts: text, thread_ts: text }))),
  view: Schema.optionalKey(Schema.NullOr(Schema.Struct({ id: text }))),
  actions: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({ action_id: text, action_ts: text }))))
})

const decodeEventsApi = Schema.decodeUnknownResult(EventsApi)
const decodeSlashCommand = Schema.decodeUnknownResult(SlashCommand)
const decodeInteractive = Schema.decodeUnknownResult(Interactive)

/** Slack's direct message channels begin with D; `channel_type` is missing on `app_mention`. */
const isDirect = (channel: string | undefined, channelType: string | null | undefined) =>
  channelType === "im" || channel?.startsWith("D") === true

/** Subtypes that announce a change of another message instead of being one. */
const changes = new Set(["message_changed", "message_deleted", "message_replied"])

const idOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== ""
    ? value
    : typeof value === "object" && value !== null && "id" in value && typeof value.id === "string"
    ? value.id
    : undefined

/** The channel that a payload concerns, as in its message once it is decoded; undefined where it names none. */
export const channelOf = (payload: unknown): string | undefined => {
  const event = fieldIn(payload, "event")
  return idOf(fieldIn(event, "channel")) ?? idOf(fieldIn(fieldIn(event, "item"), "channel")) ??
    idOf(fieldIn(payload, "channel_id")) ?? idOf(fieldIn(payload, "channel")) ??
    idOf(fieldIn(fieldIn(payload, "container"), "channel_id"))
}

export const conversationOf = (where: {
  readonly channel: string | undefined
  readonly direct: boolean
  readonly threadTs: string | undefined
  readonly ts: string | undefined
  readonly user: string | undefined
}): ConversationKey => {
  if (where.channel === undefined) return ConversationKey.make(where.user ?? "unknown")
  const root = where.threadTs ?? (where.direct ? undefined : where.ts)
  return ConversationKey.make(root === undefined ? where.channel : `${where.channel}/${root}`)
}

const optional = <K extends string, A>(key: K, value: A | null | undefined | "") =>
  (value === undefined || value === null || value === "" ? {} : { [key]: value }) as { readonly [P in K]?: A }

const typeName = (value: unknown) => typeof value === "string" ? value.slice(0, 100) : "untyped"

const tsAt = (epochMs: number) => (epochMs / 1_000).toFixed(6)

/** What is kept of an envelope that makes no sense. */
export const undecodable = (envelope: Envelope, self: string, receivedAt: number, reason: string): Decoded => ({
  undecodable: reason,
  keys: [`envelope:${envelope.id}`],
  message: {
    kind: "undecodable",
    conversation: ConversationKey.make("undecodable"),
    team: "",
    self,
    direct: false,
    text: "",
    ts: tsAt(receivedAt),
    payload: envelope.payload ?? null
  }
})

/**
 * Understands one envelope. Pure and total: `receivedAt` (epoch ms) stands in where Slack sent no time; `self` is the
 * bot's user id.
 */
export const decode = (envelope: Envelope, self: string, receivedAt: number): Decoded => {
  const fallbackTs = tsAt(receivedAt)
  const failed = (reason: string) => undecodable(envelope, self, receivedAt, reason)
  switch (envelope.type) {
    case "events_api": {
      if (fieldIn(envelope.payload, "event") == null) {
        return failed(`no event inside (${typeName(fieldIn(envelope.payload, "type"))})`)
      }
      return Result.match(decodeEventsApi(envelope.payload), {
        onFailure: (error) => failed(error.message.slice(0, 500)),
        onSuccess: (body) => fromEvent(envelope, body, self, fallbackTs)
      })
    }
    case "slash_commands":
      return Result.match(decodeSlashCommand(envelope.payload), {
        onFailure: (error) => failed(error.message.slice(0, 500)),
        onSuccess: (body): Decoded => ({
          keys: [`envelope:${envelope.id}`, ...(body.trigger_id ? [`trigger:${body.trigger_id}`] : [])],
          message: {
            kind: "slash_command",
            // A command has no message of its own: its conversation is the person in that channel.
            conversation: ConversationKey.make(body.channel_id ? `${body.channel_id}/${body.user_id}` : body.user_id),
            team: body.team_id ?? "",
            self,
            ...optional("channel", body.channel_id),
            direct: isDirect(body.channel_id ?? undefined, undefined),
            user: body.user_id,
            text: body.text ?? "",
            ts: fallbackTs,
            payload: envelope.payload
          }
        })
      })
    case "interactive":
      return Result.match(decodeInteractive(envelope.payload), {
        onFailure: (error) => failed(error.message.slice(0, 500)),
        onSuccess: (body) => {
          const channel = body.channel?.id ?? body.container?.channel_id ?? undefined
          const ts = body.message?.ts || body.container?.message_ts || undefined
          const threadTs = body.message?.thread_ts || body.container?.thread_ts || undefined
          const direct = isDirect(channel, undefined)
          const actionTs = body.actions?.[0]?.action_ts ?? body.action_ts ?? undefined
          return {
            keys: [`envelope:${envelope.id}`, ...interactionKeys(body)],
            message: {
              kind: "interactive",
              conversation: conversationOf({ channel, direct, threadTs, ts, user: body.user.id }),
              team: body.team?.id ?? "",
              self,
              ...optional("channel", channel),
              direct,
              user: body.user.id,
              subtype: body.type,
              text: "",
              ts: actionTs ?? fallbackTs,
              ...optional("threadTs", threadTs ?? (direct ? undefined : ts)),
              payload: envelope.payload
            }
          } satisfies Decoded
        }
      })
    default:
      return failed(`unknown envelope type ${envelope.type.slice(0, 100)}`)
  }
}

/**
 * By what else an interaction is recognised. A modal is not recognised by its id and hash: after an answer with errors
 * the person submits the very same view again.
 */
const interactionKeys = (body: typeof Interactive.Type): ReadonlyArray<string> => {
  const action = body.actions?.[0]
  if (body.trigger_id) return [`trigger:${body.trigger_id}`]
  if (action?.action_ts) return [`action:${body.user.id}/${action.action_id ?? ""}/${action.action_ts}`]
  return body.type === "view_closed" && body.view?.id ? [`closed:${body.view.id}`] : []
}

const fromEvent = (envelope: Envelope, body: typeof EventsApi.Type, self: string, fallbackTs: string): Decoded => {
  const { event } = body
  const channel = idOf(event.channel) ?? idOf(fieldIn(event.item, "channel"))
  const direct = isDirect(channel, event.channel_type)
  const isMessage = event.type === "message" || event.type === "app_mention"
  const isChange = event.subtype != null && changes.has(event.subtype)
  const ts = event.ts || event.event_ts || fallbackTs
  // An edit, a deletion or a reaction is about another message, and belongs to the conversation of that one.
  const about = isChange ? event.message ?? event.previous_message : isMessage ? undefined : event.item
  const user = idOf(event.user) ?? (isChange ? idOf(fieldIn(about, "user")) : undefined)
  const aboutTs = textIn(about, "ts")
  const threadTs = event.thread_ts || textIn(about, "thread_ts") || (direct ? undefined : aboutTs)
  return {
    keys: [
      body.event_id === undefined ? `envelope:${envelope.id}` : `event:${body.event_id}`,
      // The same under another event id; no team in it, since Slack Connect sends two. `message` and `app_mention` of
      // one mention share channel and ts.
      ...(channel === undefined
        ? []
        : isMessage && !isChange
        ? event.ts || event.event_ts ? [`message:${channel}/${event.ts || event.event_ts}`] : []
        : event.event_ts
        ? [`happened:${(isMessage && event.subtype) || event.type}/${channel}/${user ?? ""}/${event.event_ts}`]
        : [])
    ],
    message: {
      kind: event.type === "message" ? "message" : event.type === "app_mention" ? "app_mention" : "event",
      conversation: conversationOf({ channel, direct, threadTs, ts, user }),
      team: body.team_id ?? "",
      self,
      ...optional("channel", channel),
      direct,
      ...optional("user", user),
      ...optional("bot", event.bot_id || (isChange ? textIn(about, "bot_id") : undefined)),
      ...optional("subtype", isMessage ? event.subtype : event.type),
      text: event.text ?? (isChange ? textIn(event.message, "text") : undefined) ?? "",
      ts,
      ...optional("threadTs", threadTs),
      payload: envelope.payload
    }
  }
}
