/**
 * Ways: what became of each message that a person wrote, step by step, for the chat page.
 *
 * Owns one way per message, folded from the journal: when it was written, sent to the bot, stored and acked, what killed
 * the gateway in between, and how often it was answered. What only the gateway knows (is it handling, is nothing left to
 * do) comes from its counts, and only from those that were asked for after the message was acked.
 * A reply belongs to the message in whose thread it is; in a direct message, to those that are still open. Two replies
 * with the same key in their metadata are one reply posted twice, and that is said.
 * Pure; the newest ways are kept.
 */
import type { JournalEntry } from "./Journal.ts"
import { bot, type Message } from "./Workspace.ts"

export type StepKind =
  | "written"
  | "waiting"
  | "sent"
  | "sentAgain"
  | "ackLost"
  | "acked"
  | "handling"
  | "asked"
  | "killed"
  | "ended"
  | "restarted"
  | "replied"

export interface Step {
  readonly kind: StepKind
  readonly at: number
}

export interface Way {
  readonly channel: string
  readonly ts: string
  readonly steps: ReadonlyArray<Step>
  /** How many replies it got. */
  readonly replies: number
  /** Replies that were posted more than once. */
  readonly repeated: number
  /** Nothing is left to do for it, and since when. */
  readonly settledAt?: number
}

interface Draft extends Omit<Way, "steps" | "replies" | "repeated"> {
  readonly steps: Array<Step>
  readonly thread: string
  readonly isReply: boolean
  readonly posts: Array<string>
  /** The journal's number of its first ack. */
  arrived?: number
  settledAt?: number
}

const kept = 200
/** A message that is sent, lost and sent again all day long. */
const stepsKept = 40

export class Ways {
  readonly #drafts = new Map<string, Draft>()
  readonly #find: (channel: string, ts: string) => Message | undefined
  readonly #isDirect: (channel: string) => boolean
  #live = 0
  #down = false

  constructor(options: {
    readonly find: (channel: string, ts: string) => Message | undefined
    readonly isDirect: (channel: string) => boolean
  }) {
    this.#find = options.find
    this.#isDirect = options.isDirect
  }

  get all(): ReadonlyArray<Way> {
    return [...this.#drafts.values()].map((draft) => this.#shown(draft))
  }

  /** Takes in what happened; answers the ways that are different now. */
  apply(entry: JournalEntry): ReadonlyArray<Way> {
    return this.#changed(entry).map((draft) => this.#shown(draft))
  }

  #changed(entry: JournalEntry): ReadonlyArray<Draft> {
    const { at } = entry
    switch (entry._tag) {
      case "MessagePosted":
        return entry.by === bot.userId ? this.#replied(entry) : [this.#written(entry)]
      case "EnvelopeSent":
      case "AckReceived": {
        const draft = this.#drafts.get(entry.about ?? "")
        if (draft === undefined) return []
        const known = draft.steps.some(({ kind }) => kind === "acked" || kind === "ackLost")
        if (entry._tag === "EnvelopeSent") {
          // A mention comes as two events; one of them says it all.
          if (entry.attempt === 0 && draft.steps.some(({ kind }) => kind === "sent")) return []
          return step(draft, entry.attempt === 0 ? "sent" : "sentAgain", at)
        }
        draft.arrived ??= entry.n
        if (entry.ignored) return step(draft, "ackLost", at)
        return known && !draft.steps.some(({ kind }) => kind === "sentAgain") ? [] : step(draft, "acked", at)
      }
      case "ConnectionOpened": {
        this.#live = entry.live
        const back = this.#down
        this.#down = false
        return back ? this.#open().flatMap((draft) => hasFallen(draft) ? step(draft, "restarted", at) : []) : []
      }
      case "ConnectionClosed":
        this.#live = entry.live
        return []
      case "GatewaySignalled":
        return entry.signal === "SIGKILL" ? [] : this.#open().flatMap((draft) => step(draft, "asked", at))
      case "GatewayEnded":
        this.#down = true
        return this.#open().flatMap((draft) => step(draft, entry.signal === null ? "ended" : "killed", at))
      case "GatewaySeen": {
        const told = this.#open().filter((draft) => (draft.arrived ?? Infinity) <= entry.after)
        if (entry.processing > 0) return told.flatMap((draft) => step(draft, "handling", at))
        if (entry.queued > 0 || entry.replies > 0) return []
        for (const draft of told) draft.settledAt = at
        return told
      }
      default:
        return []
    }
  }

  #written({ at, channel, threadTs, ts }: Extract<JournalEntry, { readonly _tag: "MessagePosted" }>): Draft {
    const draft: Draft = {
      channel,
      ts,
      thread: threadTs ?? ts,
      isReply: threadTs !== undefined,
      steps: [{ kind: "written", at }],
      posts: []
    }
    if (this.#live === 0) draft.steps.push({ kind: "waiting", at })
    this.#drafts.set(`${channel}/${ts}`, draft)
    const [oldest] = this.#drafts.keys()
    if (this.#drafts.size > kept && oldest !== undefined) this.#drafts.delete(oldest)
    return draft
  }

  #replied({ at, channel, threadTs, ts }: Extract<JournalEntry, { readonly _tag: "MessagePosted" }>) {
    const fits = (draft: Draft) =>
      draft.channel === channel &&
      (threadTs === undefined ? this.#isDirect(channel) && !draft.isReply : draft.thread === threadTs)
    const fitting = [...this.#drafts.values()].filter(fits)
    const open = fitting.filter((draft) => draft.settledAt === undefined && draft.arrived !== undefined)
    // One that comes when all is settled belongs to the last message; it may be the same reply once more.
    const whose = open.length > 0 ? open : fitting.slice(-1)
    return whose.flatMap((draft) => {
      draft.posts.push(ts)
      step(draft, "replied", at)
      return [draft]
    })
  }

  #open(): ReadonlyArray<Draft> {
    return [...this.#drafts.values()].filter(({ settledAt }) => settledAt === undefined)
  }

  #shown({ channel, posts, settledAt, steps, ts }: Draft): Way {
    const keys = posts.flatMap((post) => {
      const metadata = this.#find(channel, post)?.metadata
      return metadata === undefined ? [] : [JSON.stringify(metadata)]
    })
    return {
      channel,
      ts,
      steps: [...steps],
      replies: posts.length,
      repeated: keys.length - new Set(keys).size,
      ...(settledAt === undefined ? {} : { settledAt })
    }
  }
}

/** Adds a step, once where it repeats the last one. */
const step = (draft: Draft, kind: StepKind, at: number): ReadonlyArray<Draft> => {
  if (draft.steps.at(-1)?.kind === kind && kind !== "replied") return []
  // Handling goes on after a reply.
  const sinceFall = draft.steps.slice(draft.steps.findLastIndex(({ kind }) => kind === "restarted") + 1)
  if (kind === "handling" && sinceFall.some((one) => one.kind === "handling")) return []
  if (draft.steps.length >= stepsKept) return []
  draft.steps.push({ kind, at })
  return [draft]
}

const hasFallen = ({ steps }: Draft): boolean => {
  const last = (is: (kind: StepKind) => boolean) => steps.findLastIndex(({ kind }) => is(kind))
  return last((kind) => kind === "killed" || kind === "ended") > last((kind) => kind === "restarted")
}
