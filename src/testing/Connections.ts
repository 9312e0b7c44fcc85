/**
 * Connections: which connections Slack has of the app, and how each of them ends.
 *
 * Owns their states, the frames that greet them and send them away, and whose turn it is. Guarantees that envelopes go
 * to live connections only, in turn. A connection beyond the limit is sent away with `too_many_websockets` instead of
 * Slack's hello, as Slack does (bolt-js #2225, #2021).
 * Does not read a clock or own a timer: `nextDue` says when `tick` wants to be called. Everything to be sent is handed
 * to `emit`, in order.
 */
import type { FaultDesk } from "./Faults.ts"
import type { JournalEvent } from "./Journal.ts"
import { disconnectFrame, helloFrame } from "./SlackShapes.ts"

/** What whoever stands in front has to do: send text on a connection, or close one. */
export type Output =
  | { readonly _tag: "Frame"; readonly connection: string; readonly text: string }
  | { readonly _tag: "Close"; readonly connection: string }

export interface ConnectionsOptions {
  readonly emit: (output: Output) => void
  readonly record: (event: JournalEvent, now: number) => void
  readonly faults: FaultDesk
  readonly maxConnections: number
  /** How long a connection that was sent a disconnect frame stays open, and how early Slack warns. */
  readonly graceMs: number
}

const defaultLifetimeSeconds = 18_060

interface Connection {
  readonly id: string
  /** `silent` was never greeted, `draining` was told to go; only `live` ones get envelopes. */
  state: "silent" | "live" | "draining"
  /** What will be done to it, and when. */
  readonly plan: Map<"warning" | "refresh_requested" | "close", number>
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #all = new Map<string, Connection>()
  #soonest: number | undefined
  #turn = 0

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** Connections that were greeted and not told to go. */
  get live(): ReadonlyArray<string> {
    return [...this.#all.values()].filter((c) => c.state === "live").map((c) => c.id)
  }

  /** No later than the next moment at which `tick` has something to do. */
  get nextDue(): number | undefined {
    return this.#soonest
  }

  open(id: string, now: number): void {
    const { emit, faults, graceMs, maxConnections } = this.#options
    const { approximateConnectionTime, closeAfterMs, ghosts = 0, noHello, refreshAfterMs } = faults.current
    const others = this.live.length + ghosts
    const connection: Connection = { id, state: "live", plan: new Map() }
    this.#all.set(id, connection)
    if (noHello === true) {
      connection.state = "silent"
    } else if (others >= maxConnections) {
      connection.state = "draining"
      emit({ _tag: "Frame", connection: id, text: disconnectFrame("too_many_websockets") })
      emit({ _tag: "Close", connection: id })
    } else {
      const refreshSeconds = refreshAfterMs === undefined ? defaultLifetimeSeconds : refreshAfterMs / 1_000
      const text = helloFrame(others + 1, approximateConnectionTime ?? refreshSeconds)
      emit({ _tag: "Frame", connection: id, text })
      if (refreshAfterMs !== undefined) {
        if (refreshAfterMs > graceMs) this.#plan(connection, "warning", now + refreshAfterMs - graceMs)
        this.#plan(connection, "refresh_requested", now + refreshAfterMs)
      }
      if (closeAfterMs !== undefined) this.#plan(connection, "close", now + closeAfterMs)
    }
    this.#options.record({ _tag: "ConnectionOpened", connection: id, live: this.live.length }, now)
  }

  closed(id: string, now: number): void {
    if (!this.#all.delete(id)) return
    this.#options.record({ _tag: "ConnectionClosed", connection: id, live: this.live.length }, now)
  }

  /** Tells one connection, or all, to go. After `warning` events keep coming; after any other reason they do not. */
  disconnect(reason: string, now: number, only?: string): number {
    const told = [...this.#all.values()].filter((c) => only === undefined || c.id === only)
    for (const connection of told) {
      this.#tell(connection, reason)
      this.#plan(connection, "close", now + this.#options.graceMs)
    }
    return told.length
  }

  /** The connection whose turn it is; ghosts take theirs. Undefined when nobody is connected. */
  next(): string | undefined {
    const live = this.live
    if (live.length === 0) return undefined
    const turn = this.#turn++ % (live.length + (this.#options.faults.current.ghosts ?? 0))
    return live[turn] ?? `ghost${turn - live.length + 1}`
  }

  /** The next connection that is really there. */
  nextReal(): string | undefined {
    const live = this.live
    return live.length === 0 ? undefined : live[this.#turn++ % live.length]
  }

  /** Does what is due. Early and late calls are both harmless. */
  tick(now: number): void {
    this.#soonest = undefined
    for (const connection of this.#all.values()) {
      for (const [step, at] of connection.plan) {
        if (at > now) {
          this.#plan(connection, step, at)
          continue
        }
        connection.plan.delete(step)
        if (step === "close") {
          connection.state = "draining"
          this.#options.emit({ _tag: "Close", connection: connection.id })
        } else {
          this.#tell(connection, step)
          if (step === "refresh_requested") this.#plan(connection, "close", now + this.#options.graceMs)
        }
      }
    }
  }

  #tell(connection: Connection, reason: string): void {
    const { emit, faults } = this.#options
    const goesOn = reason === "warning" || faults.current.eventsBehindDisconnect === true
    if (!goesOn) connection.state = "draining"
    emit({ _tag: "Frame", connection: connection.id, text: disconnectFrame(reason) })
  }

  #plan(connection: Connection, step: "warning" | "refresh_requested" | "close", at: number): void {
    connection.plan.set(step, at)
    this.#soonest = this.#soonest === undefined ? at : Math.min(this.#soonest, at)
  }
}
