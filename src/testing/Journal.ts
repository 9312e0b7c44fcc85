/**
 * Journal: what happened inside a LocalSlack, in order, for tests to read and to wait on.
 *
 * Owns a list of numbered, typed entries. Guarantees that `n` starts at 1, grows by one and is never reused, so
 * `after(n)` continues where a reader stopped. Bounded: past the limit the oldest tenth is dropped, and numbers go on.
 */

export type JournalEvent =
  | { readonly _tag: "ConnectionOpened"; readonly connection: string; readonly live: number }
  | { readonly _tag: "ConnectionClosed"; readonly connection: string; readonly live: number }
  /** `type` is the inner event's type for events, the envelope's type for commands and buttons. */
  | {
    readonly _tag: "EnvelopeSent"
    readonly envelopeId: string
    readonly eventId?: string
    readonly type: string
    readonly attempt: number
    readonly connection: string
    /** The message it tells of: `channel/ts`. */
    readonly about?: string
  }
  /** Nobody was connected, and the faults say that Slack does not keep it. */
  | { readonly _tag: "EnvelopeLost"; readonly envelopeId: string; readonly eventId?: string; readonly type: string }
  /** `ignored`: it arrived while the fault `dropAcks` was on, or for an envelope that was never sent. */
  | {
    readonly _tag: "AckReceived"
    readonly envelopeId: string
    readonly eventId?: string
    readonly connection: string
    readonly about?: string
    readonly ignored: boolean
    readonly payload?: unknown
  }
  /** `committed`: the call took effect, whatever the caller was told; `fault`: which fault shaped the answer. */
  | {
    readonly _tag: "ApiCall"
    readonly method: string
    readonly channel?: string
    readonly ok: boolean
    readonly error?: string
    readonly committed: boolean
    readonly fault?: string
  }
  | {
    readonly _tag: "MessagePosted"
    readonly channel: string
    readonly ts: string
    readonly by: string
    readonly threadTs?: string
  }
  | { readonly _tag: "MessageUpdated"; readonly channel: string; readonly ts: string; readonly by: string }
  | { readonly _tag: "MessageDeleted"; readonly channel: string; readonly ts: string; readonly by: string }
  | {
    readonly _tag: "ReactionAdded" | "ReactionRemoved"
    readonly channel: string
    readonly ts: string
    readonly by: string
    readonly name: string
  }
  /** Only one person sees it, and nothing keeps it. */
  | {
    readonly _tag: "EphemeralPosted"
    readonly channel: string
    readonly ts: string
    readonly to: string
    readonly text: string
  }
  /** The line under a thread that says what the bot is doing; empty when it stops. */
  | { readonly _tag: "StatusSet"; readonly channel: string; readonly threadTs: string; readonly status: string }
  | { readonly _tag: "ChannelCreated"; readonly channel: string; readonly name: string }
  /** A modal is shown to somebody, or shown anew. */
  | { readonly _tag: "ViewOpened"; readonly view: string; readonly to: string }
  | { readonly _tag: "ViewClosed"; readonly view: string; readonly to: string }
  /** The app found mistakes in what was submitted. */
  | { readonly _tag: "ViewRefused"; readonly view: string; readonly to: string; readonly errors: unknown }
  /** What whoever runs the gateway tells of it (`WatchedGateway`). */
  | { readonly _tag: "GatewayStarted"; readonly pid: number }
  | { readonly _tag: "GatewaySignalled"; readonly signal: string }
  | { readonly _tag: "GatewayEnded"; readonly code: number | null; readonly signal: string | null }
  /** Messages that wait and are handled, and replies that are not delivered yet. */
  | {
    readonly _tag: "GatewaySeen"
    /** It was asked after this entry. */
    readonly after: number
    readonly phase: string
    readonly queued: number
    readonly processing: number
    readonly replies: number
  }

/** An event with its number and the time (epoch ms) at which it happened. */
export type JournalEntry = JournalEvent & { readonly n: number; readonly at: number }

export class Journal {
  #entries: Array<JournalEntry> = []
  #last = 0
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = Math.max(10, limit)
  }

  get entries(): ReadonlyArray<JournalEntry> {
    return this.#entries
  }

  append(event: JournalEvent, at: number): JournalEntry {
    const entry: JournalEntry = { ...event, n: ++this.#last, at }
    this.#entries.push(entry)
    if (this.#entries.length > this.#limit) this.#entries = this.#entries.slice(Math.ceil(this.#limit / 10))
    return entry
  }

  after(n: number): ReadonlyArray<JournalEntry> {
    const first = this.#entries[0]?.n ?? 1
    return this.#entries.slice(Math.max(0, n - first + 1))
  }
}
