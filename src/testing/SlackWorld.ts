/**
 * SlackWorld: a whole Slack as a pure state machine.
 *
 * Owns the workspace, the envelopes on their way to the app, the faults and the journal, and is everything about
 * LocalSlack that is not a socket: the simulation runs on it without one. Each operation takes the time as `now`
 * (epoch ms) and answers at once; what has to be sent is left for `drain`, in order. It has no timers: `nextDue` says
 * when `tick` has something to do.
 * Guarantees that the same calls give the same answers and the same output (ids derive from `startedAt` and counters,
 * so two worlds started at different times share no id and can feed the same database one after the other).
 * Does nothing on shutdown: it holds no resource.
 */
import { type Command, Commands } from "./Commands.ts"
import { Connections, type Output } from "./Connections.ts"
import type { Acked } from "./Delivery.ts"
import { Delivery } from "./Delivery.ts"
import { FaultDesk, type FaultPatch } from "./Faults.ts"
import { Journal, type JournalEntry, type JournalEvent } from "./Journal.ts"
import {
  changedEvent,
  deletedEvent,
  eventPayload,
  type Json,
  type LocalMessage,
  localMessage,
  mentionEvent,
  messageEvent,
  reactionEvent
} from "./SlackShapes.ts"
import { type Status, Statuses } from "./Statuses.ts"
import { Views } from "./Views.ts"
import {
  bot,
  type Conversation,
  type Draft,
  type Message,
  team,
  Workspace,
  type WorkspaceOptions
} from "./Workspace.ts"

export interface WorldOptions extends WorkspaceOptions {
  /** Epoch ms; part of every id. */
  readonly startedAt: number
  /** Faults and settings in force from the start. */
  readonly faults?: FaultPatch
  /** Connections beyond this many are told `too_many_websockets` (default 10, as Slack). */
  readonly maxConnections?: number
  /** How long a connection that was told to go stays open (default 10 s). */
  readonly disconnectGraceMs?: number
  /** Journal entries kept (default 100,000). */
  readonly journalLimit?: number
}

export interface Said {
  readonly channel: string
  readonly user: string
  readonly text: string
  readonly thread_ts?: string | undefined
  /** Shows a reply in the channel too. */
  readonly broadcast?: boolean | undefined
  /** Names of files that come with it. */
  readonly files?: ReadonlyArray<string> | undefined
}

export type Posted = { readonly ok: true; readonly ts: string; readonly channel: string } | {
  readonly ok: false
  readonly error: string
}

const ticketsKept = 1_000

export type Sent = { readonly ok: true; readonly envelope_id: string } | { readonly ok: false; readonly error: string }

export class SlackWorld {
  readonly workspace: Workspace
  readonly commands = new Commands()
  readonly views = new Views()
  readonly faults: FaultDesk
  readonly #journal: Journal
  readonly #connections: Connections
  readonly #delivery: Delivery
  readonly #tickets = new Set<string>()
  readonly #statuses = new Statuses()
  readonly #seed: number
  #out: Array<Output> = []
  #entries: Array<JournalEntry> = []
  #counter = 0
  #connected = 0

  constructor(options: WorldOptions) {
    this.#seed = Math.max(0, Math.floor(options.startedAt))
    this.workspace = new Workspace(options)
    this.faults = new FaultDesk(options.faults)
    this.#journal = new Journal(options.journalLimit ?? 100_000)
    const common = {
      emit: (output: Output) => {
        this.#out.push(output)
      },
      record: (event: JournalEvent, now: number) => this.record(event, now),
      faults: this.faults
    }
    this.#connections = new Connections({
      ...common,
      maxConnections: options.maxConnections ?? 10,
      graceMs: options.disconnectGraceMs ?? 10_000
    })
    this.#delivery = new Delivery({
      ...common,
      connections: this.#connections,
      envelopeId: () => this.#uuid("4000")
    })
  }

  /** What has to be sent since the last call, and what was written to the journal. */
  drain(): { readonly output: ReadonlyArray<Output>; readonly entries: ReadonlyArray<JournalEntry> } {
    const drained = { output: this.#out, entries: this.#entries }
    this.#out = []
    this.#entries = []
    return drained
  }

  // --- time

  get nextDue(): number | undefined {
    const due = [this.#connections.nextDue, this.#delivery.nextDue].filter((at) => at !== undefined)
    return due.length === 0 ? undefined : Math.min(...due)
  }

  tick(now: number): void {
    this.#connections.tick(now)
    this.#delivery.tick(now)
  }

  // --- connections

  /** A ticket for one connection. Of tickets that nobody used, only the newest are kept. */
  ticket(): string {
    const ticket = this.#uuid("4002")
    this.#tickets.add(ticket)
    const [oldest] = this.#tickets
    if (this.#tickets.size > ticketsKept && oldest !== undefined) this.#tickets.delete(oldest)
    return ticket
  }

  knowsTicket(ticket: string): boolean {
    return this.#tickets.has(ticket)
  }

  /** Opens a connection; undefined when the ticket was used before or never given out. */
  open(ticket: string, now: number): string | undefined {
    if (!this.#tickets.delete(ticket)) return undefined
    const connection = `c${++this.#connected}`
    this.#connections.open(connection, now)
    this.#delivery.opened(now)
    return connection
  }

  closed(connection: string, now: number): void {
    this.#connections.closed(connection, now)
  }

  received(connection: string, text: string, now: number): void {
    const acked = this.#delivery.received(connection, text, now)
    if (acked?.type === "slash_commands") this.#answered(acked, now)
    const outcome = acked === undefined ? undefined : this.views.answered(acked, now)
    if (outcome !== undefined) this.record(outcome, now)
  }

  disconnect(reason: string, now: number, only?: string): number {
    return this.#connections.disconnect(reason, now, only)
  }

  redeliver(id: string, now: number): boolean {
    return this.#delivery.redeliver(id, now)
  }

  /** Any text, to the next live connection; false when there is none. */
  raw(text: string): boolean {
    const connection = this.#connections.nextReal()
    if (connection !== undefined) this.#out.push({ _tag: "Frame", connection, text })
    return connection !== undefined
  }

  get live(): ReadonlyArray<string> {
    return this.#connections.live
  }

  get unacked(): ReadonlyArray<string> {
    return this.#delivery.unacked
  }

  /** Any event of the Events API; answers its event id. */
  event(event: Json, now: number): string {
    const eventId = `Ev${this.#seed.toString(36).toUpperCase()}${String(++this.#counter).padStart(6, "0")}`
    const { channel, subtype, ts, type } = event
    const isNew = (type === "message" || type === "app_mention") && (subtype === undefined || subtype === "file_share")
    this.#delivery.submit("events_api", eventPayload(event, eventId, now), {
      label: String(type),
      eventId,
      about: isNew && typeof channel === "string" && typeof ts === "string" ? `${channel}/${ts}` : undefined
    }, now)
    return eventId
  }

  /** An envelope of another kind (`slash_commands`, `interactive`); answers its envelope id. */
  envelope(type: string, payload: Json, now: number): string {
    return this.#delivery.submit(type, payload, { label: type, acceptsResponse: true }, now)
  }

  /** A person uses a slash command. Slack does not keep it: without a connection the person sees it fail. */
  command(command: Command, origin: string, now: number): Sent {
    const conversation = this.workspace.conversation(command.channel)
    if (conversation === undefined) return { ok: false, error: "channel_not_found" }
    const person = this.workspace.person(command.user)
    if (person === undefined || person.isBot) return { ok: false, error: "user_not_found" }
    if (!this.workspace.isMember(conversation, person.id)) return { ok: false, error: "not_in_channel" }
    const down = this.live.length === 0
    const id = this.#uuid("4003")
    const payload = this.commands.payload(command, { conversation, person, id, origin }, now)
    this.views.allow(String(payload["trigger_id"]), person.id, now)
    const envelope = this.envelope("slash_commands", payload, now)
    return down ? { ok: false, error: "dispatch_failed" } : { ok: true, envelope_id: envelope }
  }

  /** A person presses, submits, chooses. Slack does not keep that either. */
  interaction(payload: Json, now: number): Sent {
    const down = this.live.length === 0
    const common = {
      token: "local-verification-token",
      team: { id: team.id, domain: team.domain },
      api_app_id: bot.appId
    }
    const envelope = this.envelope("interactive", { ...common, ...payload }, now)
    return down ? { ok: false, error: "dispatch_failed" } : { ok: true, envelope_id: envelope }
  }

  /** Allows the app to open a modal for this person. */
  triggerId(user: string, now: number): string {
    return this.views.allow(this.#uuid("4004"), user, now)
  }

  /** The ack of a command may carry a message, which only the person sees unless it says otherwise. */
  #answered({ answer, payload }: Acked, now: number): void {
    const said = typeof answer === "object" && answer !== null ? answer as Json : {}
    const conversation = this.workspace.conversation(String(payload["channel_id"]))
    const { blocks, response_type, text } = said
    if (conversation === undefined || typeof text !== "string" || text === "") return
    if (response_type === "in_channel") this.post(conversation, { user: bot.userId, text, blocks }, now)
    else this.whisper(conversation.id, String(payload["user_id"]), text, now)
  }

  // --- messages

  /** A person writes something. */
  say(said: Said, now: number): Posted {
    const conversation = this.workspace.conversation(said.channel)
    if (conversation === undefined) return { ok: false, error: "channel_not_found" }
    const who = this.workspace.person(said.user)
    if (who === undefined || who.isBot) return { ok: false, error: "user_not_found" }
    if (!this.workspace.isMember(conversation, said.user)) return { ok: false, error: "not_in_channel" }
    const files = said.files?.map((name) => this.workspace.shareFile(name))
    if (said.text === "" && files === undefined) return { ok: false, error: "no_text" }
    const thread = said.thread_ts
    if (thread !== undefined && this.workspace.root(conversation.id, thread) === undefined) {
      return { ok: false, error: "thread_not_found" }
    }
    const clientMsgId = this.#uuid("4001")
    const { ts } = this.post(conversation, {
      user: said.user,
      text: said.text,
      clientMsgId,
      ...(files === undefined ? {} : { files }),
      ...(thread === undefined ? {} : { threadTs: thread, ...(said.broadcast === true ? { broadcast: true } : {}) })
    }, now)
    return { ok: true, ts, channel: conversation.id }
  }

  /** Stores a message and sends its events. The caller has checked that it may be posted. */
  post(conversation: Conversation, draft: Omit<Draft, "channel">, now: number): Message {
    const message = this.workspace.post({ ...draft, channel: conversation.id }, now)
    this.record({
      _tag: "MessagePosted",
      channel: conversation.id,
      ts: message.ts,
      by: message.user,
      ...(message.threadTs === undefined ? {} : { threadTs: message.threadTs })
    }, now)
    // The bot has said what it had to say.
    const { channel, fromBot, threadTs } = message
    if (fromBot && threadTs !== undefined && this.#statuses.has(channel, threadTs)) {
      this.setStatus(channel, threadTs, "", now)
    }
    const mentioned = !message.fromBot && conversation.kind === "channel" &&
      message.text.includes(`<@${bot.userId}>`)
    const events = [messageEvent(this.workspace, conversation, message)]
    if (mentioned) events.push(mentionEvent(this.workspace, conversation, message))
    if (this.faults.current.mentionFirst === true) events.reverse()
    for (const event of events) this.#happened(message.user, event, now)
    return message
  }

  edit(
    conversation: Conversation,
    before: Message,
    patch: Partial<Pick<Message, "text" | "blocks" | "attachments" | "metadata" | "streamingUntil">>,
    by: string,
    now: number,
    { marked = true }: { readonly marked?: boolean } = {}
  ): Message {
    const ts = this.workspace.nextTs(now)
    const after: Message = { ...before, ...patch, ...(marked ? { edited: { user: by, ts } } : {}) }
    this.workspace.replace(after)
    this.record({ _tag: "MessageUpdated", channel: conversation.id, ts: before.ts, by }, now)
    this.#happened(by, changedEvent(this.workspace, conversation, { before, after, ts }), now)
    return after
  }

  remove(conversation: Conversation, before: Message, by: string, now: number): void {
    const event = deletedEvent(this.workspace, conversation, { before, ts: this.workspace.nextTs(now) })
    this.workspace.remove(before)
    this.record({ _tag: "MessageDeleted", channel: conversation.id, ts: before.ts, by }, now)
    this.#happened(by, event, now)
  }

  /** Shows something to one person only; answers its `ts`. */
  whisper(channel: string, to: string, text: string, now: number): string {
    const ts = this.workspace.nextTs(now)
    this.record({ _tag: "EphemeralPosted", channel, ts, to, text }, now)
    return ts
  }

  /** What the bot says it is doing in a thread; an empty text takes it away. */
  setStatus(channel: string, threadTs: string, status: string, now: number): void {
    this.#statuses.set(channel, threadTs, status, now)
    this.record({ _tag: "StatusSet", channel, threadTs, status }, now)
  }

  /** The statuses that are shown. */
  statuses(now: number): ReadonlyArray<Status> {
    return this.#statuses.shown(now)
  }

  /** Adds or takes away a reaction; false when it was there, or not there, already. */
  react(message: Message, name: string, by: string, change: "add" | "remove", now: number): boolean {
    const users = message.reactions.find((r) => r.name === name)?.users ?? []
    if (users.includes(by) === (change === "add")) return false
    const next = change === "add" ? [...users, by] : users.filter((user) => user !== by)
    const others = message.reactions.filter((r) => r.name !== name)
    this.workspace.replace({ ...message, reactions: next.length === 0 ? others : [...others, { name, users: next }] })
    const added = change === "add"
    this.record({
      _tag: added ? "ReactionAdded" : "ReactionRemoved",
      channel: message.channel,
      ts: message.ts,
      by,
      name
    }, now)
    const reaction = { name, user: by, ts: this.workspace.nextTs(now) }
    this.#happened(by, reactionEvent(added ? "reaction_added" : "reaction_removed", message, reaction), now)
    return true
  }

  /** All messages of a conversation, replies included, oldest first. */
  messages(channel: string, now?: number): ReadonlyArray<LocalMessage> {
    const conversation = this.workspace.conversation(channel)
    return conversation === undefined
      ? []
      : this.workspace.messages(conversation.id).map((message) => localMessage(message, now))
  }

  // --- journal

  get journal(): ReadonlyArray<JournalEntry> {
    return this.#journal.entries
  }

  journalAfter(n: number): ReadonlyArray<JournalEntry> {
    return this.#journal.after(n)
  }

  record(event: JournalEvent, now: number): void {
    this.#entries.push(this.#journal.append(event, now))
  }

  #happened(by: string, event: Json, now: number): void {
    if (by === bot.userId && this.faults.current.echoes === false) return
    this.event(event, now)
  }

  #uuid(kind: string): string {
    const start = this.#seed.toString(16).padStart(12, "0").slice(-12)
    const count = (++this.#counter).toString(16).padStart(12, "0")
    return `${start.slice(0, 8)}-${start.slice(8)}-${kind}-8000-${count}`
  }
}
