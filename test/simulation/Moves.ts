/**
 * What must hold at every commit, read from the committed rows alone: each row moves only as its states are drawn,
 * final rows stay as they are, nothing vanishes, a conversation has one unfinished turn and a lane one row on its way.
 */
import { placesOf } from "../../src/Control.ts"
import { ConversationKey } from "../../src/Message.ts"
import type { Disk } from "./Disk.ts"

type Moves = Readonly<Record<string, ReadonlyArray<string>>>

const moves: { readonly [table: string]: Moves } = {
  messages: {
    queued: ["processing"],
    processing: ["queued", "done", "failed"],
    done: [],
    failed: [],
    // A twin that addresses the bot, or a mention that comes late.
    ignored: ["queued", "processing", "failed"]
  },
  turns: {
    waiting: ["running", "failed"],
    running: ["waiting", "done", "failed", "superseded"],
    done: [],
    failed: [],
    superseded: []
  },
  outbox: {
    queued: ["sending", "expired", "failed_terminal"],
    failed_retryable: ["sending", "expired", "failed_terminal"],
    sending: ["delivered", "unknown", "failed_retryable", "failed_terminal", "queued"],
    unknown: ["delivered", "failed_retryable", "failed_terminal", "expired"],
    delivered: [],
    failed_terminal: [],
    expired: []
  }
}

interface Row {
  readonly id: number | string
  readonly state: string
  readonly of: string
}

const reading: { readonly [table: string]: string } = {
  messages: "SELECT id, state, conversation AS \"of\" FROM slackwater_messages",
  turns: "SELECT id, state, conversation AS \"of\" FROM slackwater_turns",
  outbox: "SELECT id, state, lane AS \"of\" FROM slackwater_outbox"
}

/** A reply that may have arrived holds its lane for so long (ms). */
const holdLaneFor = 120_000

export class Watched {
  /** Replies whose fate was unknown for so long that others of their lane went by. */
  readonly passed = new Set<number>()
  /** As of the last commit. */
  #paused: ReadonlySet<string> = new Set()
  readonly #unknownSince = new Map<number, number>()
  readonly #last = new Map<string, Map<number | string, string>>()

  /** What is wrong with the rows as they are now, after as they were. */
  look(disk: Disk, tables: ReadonlySet<string>, now: number, saw: (what: string) => void): string | undefined {
    const wrong = this.#compare(disk, tables, saw)
    if (tables.has("pauses")) {
      const rows = disk.rows<{ readonly place: string }>("SELECT place FROM slackwater_pauses")
      this.#paused = new Set(rows.map(({ place }) => place))
    }
    if (!tables.has("outbox")) return wrong
    const unknown = disk.rows<{ readonly id: number }>("SELECT id FROM slackwater_outbox WHERE state = 'unknown'")
    for (const { id } of unknown) {
      const since = this.#unknownSince.get(id)
      if (since === undefined) this.#unknownSince.set(id, now)
      else if (now - since >= holdLaneFor) this.passed.add(id)
    }
    return wrong
  }

  #isPaused(conversation: string): boolean {
    return placesOf(ConversationKey.make(conversation)).some((place) => this.#paused.has(place))
  }

  #compare(disk: Disk, tables: ReadonlySet<string>, saw: (what: string) => void): string | undefined {
    for (const [table, sql] of Object.entries(reading)) {
      if (!tables.has(table)) continue
      const before = this.#last.get(table) ?? new Map<number | string, string>()
      const now = new Map<number | string, string>()
      const open = new Map<string, number | string>()
      for (const { id, of, state } of disk.rows<Row>(sql)) {
        now.set(id, state)
        const was = before.get(id)
        if (was !== undefined && was !== state) {
          if (moves[table]?.[was]?.includes(state) !== true) return `${table} ${id}: ${was} → ${state}`
          saw(`move:${table} ${was} → ${state}`)
        }
        const begins = (table === "turns" && state === "running") || (table === "messages" && state === "processing")
        if (begins && was !== state && this.#isPaused(of)) return `${table} ${id} of ${of} begins although it is paused`
        if (table === "messages" && state === "queued" && this.#paused.size > 0 && this.#isPaused(of)) {
          saw("pause:while something waits")
        }
        const isOpen = table === "turns"
          ? state === "running" || state === "waiting"
          : table === "outbox" && state === "sending"
        if (!isOpen) continue
        const other = open.get(of)
        if (other !== undefined) return `${table} ${other} and ${id} of ${of} at once`
        open.set(of, id)
      }
      for (const id of before.keys()) if (!now.has(id)) return `${table} ${id} vanished`
      this.#last.set(table, now)
    }
    return undefined
  }
}
