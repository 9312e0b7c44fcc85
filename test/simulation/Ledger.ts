/**
 * What happened in a history: what people said, what handlers did, what Slack was told; and the trace, whose digest tells
 * one history from another.
 */
import { createHash } from "node:crypto"

/** Something a person did that may want an answer. */
export interface Said {
  readonly tag: string
  readonly kind: "message" | "command"
  readonly channel: string
  readonly ts: string
  readonly threadTs: string | undefined
  /** Whether it must start a turn, must not, or either. */
  readonly addressed: boolean | "maybe"
  readonly at: number
  /** It kills the process whenever it is handled. */
  readonly poison: boolean
}

/** `either`: one of the next two, as at a reload. `cut off`: its time was over, or newer messages came. `interrupted`: the gateway ended. */
export type HowEnded = "running" | "answered" | "failed" | "cut off" | "interrupted" | "either" | "died"

/** One run of a handler. */
export interface Run {
  readonly turn: string
  readonly attempt: number
  readonly conversation: string
  /** Messages it was given; in mode steer some come later. */
  readonly tags: Array<string>
  readonly life: number
  /** Deaths before it began. */
  readonly deaths: number
  /** What the disk had refused before it began, and when it ended. */
  readonly troubles: number
  troublesThen?: number
  readonly begunAt: number
  ended: HowEnded
  /** Texts whose commit came back to the handler. */
  readonly said: Array<string>
  /** What it returned. */
  finals: ReadonlyArray<string>
}

export class Ledger {
  readonly said: Array<Said> = []
  readonly runs: Array<Run> = []
  /** Steps whose result was kept, as `turn/name`. */
  readonly steps = new Set<string>()
  /** Tags of what was acked, and the keys of their events. */
  readonly acked = new Set<string>()
  readonly ackedKeys = new Set<string>()
  /** Posts that took effect, by the key they carry. */
  readonly posts = new Map<string, number>()
  readonly coverage = new Map<string, number>()
  readonly #hash = createHash("sha256")
  readonly #keeps: boolean
  readonly lines: Array<string> = []
  deaths = 0
  /** Times that the disk refused something. */
  troubles = 0
  stops = 0

  constructor(keeps: boolean) {
    this.#keeps = keeps
  }

  note(now: number, what: string): void {
    const line = `${now} ${what}\n`
    this.#hash.update(line)
    if (this.#keeps) this.lines.push(line)
  }

  saw(what: string): void {
    this.coverage.set(what, (this.coverage.get(what) ?? 0) + 1)
  }

  digest(): string {
    return this.#hash.digest("hex").slice(0, 16)
  }
}
