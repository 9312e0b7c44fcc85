/**
 * What must hold at every moment, whatever the rows say in the end: an ack comes after the commit of its row, a post
 * carries the key of a row that is on its way and is made once, and rows move as they are drawn.
 */
import { createHash } from "node:crypto"
import { fieldIn } from "../../src/untrustedJson.ts"
import { tagIn } from "./Behaviour.ts"
import type { Disk } from "./Disk.ts"
import type { Ledger } from "./Ledger.ts"
import type { Machine, Process } from "./Machine.ts"
import { Watched } from "./Moves.ts"

const fingerprintOf = (key: string) => createHash("sha256").update(key).digest("hex").slice(0, 32)

export class Guards {
  readonly #machine: Machine
  readonly #disk: Disk
  readonly #ledger: Ledger
  readonly #violated: (rule: string, detail: string) => void
  readonly #watched = new Watched()

  constructor(machine: Machine, disk: Disk, ledger: Ledger, violated: (rule: string, detail: string) => void) {
    this.#machine = machine
    this.#disk = disk
    this.#ledger = ledger
    this.#violated = violated
  }

  /** Replies that others of their lane may have passed. */
  get passed(): ReadonlySet<number> {
    return this.#watched.passed
  }

  committed(tables: ReadonlySet<string>): void {
    this.#ledger.note(this.#machine.now, `commit ${this.#disk.statements}`)
    const wrong = this.#watched.look(this.#disk, tables, this.#machine.now, (what) => this.#ledger.saw(what))
    if (wrong !== undefined) this.#violated("rows move as drawn", wrong)
  }

  /** G1: what is acked is on disk. */
  acking(
    envelope: { readonly id: string; readonly payload: unknown; readonly retryNum: number },
    process: Process,
    connections: number
  ): void {
    if (!process.alive) return
    const event = fieldIn(envelope.payload, "event_id")
    const key = typeof event === "string" ? `event:${event}` : `envelope:${envelope.id}`
    const [found] = this.#disk.rows<{ readonly state: string | null; readonly keys: number }>(
      `SELECT m.state, (SELECT count(*) FROM slackwater_message_keys o WHERE o.message_id = k.message_id
          AND o.key LIKE 'event:%') AS keys
        FROM slackwater_message_keys k LEFT JOIN slackwater_messages m ON m.id = k.message_id
        WHERE k.key = ? OR k.key LIKE ? || ':%'`,
      key,
      key
    )
    this.#ledger.note(this.#machine.now, `ack ${key} ${envelope.retryNum}`)
    if (found === undefined) return this.#violated("G1: persist before ack", `${key} is acked and not on disk`)
    const isOwn = fieldIn(fieldIn(envelope.payload, "event"), "user") === "U0BOT"
    if (connections > 1) this.#ledger.saw("ack:on one of several connections")
    if (found.keys > 1) this.#ledger.saw(`twin:when ${found.state}`)
    if (this.#ledger.ackedKeys.has(key)) this.#ledger.saw(`again:when ${found.state}`)
    this.#ledger.ackedKeys.add(key)
    const subtype = fieldIn(fieldIn(envelope.payload, "event"), "subtype")
    const text = fieldIn(fieldIn(envelope.payload, "event"), "text") ?? fieldIn(envelope.payload, "text")
    if (typeof text === "string" && !isOwn && subtype === undefined) this.#ledger.acked.add(tagIn(text))
  }

  /** G6: what takes effect in Slack has a row, and did not take effect before. */
  taking(method: string, params: Record<string, unknown>, process: Process): void {
    this.#ledger.note(this.#machine.now, `taking ${method} ${String(params["text"] ?? "")}`)
    if (!process.alive) this.#ledger.saw("call:of the dead")
    if (method !== "chat.postMessage") return
    const given = params["metadata"]
    const metadata: unknown = typeof given === "string" ? JSON.parse(given) : given
    const key = fieldIn(fieldIn(metadata, "event_payload"), "key")
    const text = String(params["text"])
    if (typeof key !== "string") return this.#violated("G6: a post carries its key", text)
    const rows = this.#disk.rows<{ readonly key: string; readonly state: string }>(
      "SELECT key, state FROM slackwater_outbox"
    )
    const row = rows.find((known) => fingerprintOf(known.key) === key)
    if (row === undefined) return this.#violated("G6: a post has a row", text)
    // A request of the dead, or one that was given up, may still arrive.
    this.#ledger.saw(`post:when ${row.state}`)
    if (row.state === "queued") this.#violated("G6: what is sent is on its way on disk", `${text} is ${row.state}`)
  }

  /** It took effect. */
  posted(params: Record<string, unknown>): void {
    const given = params["metadata"]
    const metadata: unknown = typeof given === "string" ? JSON.parse(given) : given
    const key = String(fieldIn(fieldIn(metadata, "event_payload"), "key"))
    const times = (this.#ledger.posts.get(key) ?? 0) + 1
    this.#ledger.posts.set(key, times)
    if (times > 1) this.#violated("G6: replies once", `"${String(params["text"])}" was posted ${times} times`)
  }
}
