/**
 * Delivery: which connection gets which envelope, and what happens until it is acked.
 *
 * Owns the envelopes in flight. Guarantees that an envelope goes to exactly one live connection at a time (round
 * robin); that an event which is not acked is sent again after each of the retry delays, with `retry_attempt` and a new
 * `envelope_id` as Slack does, on whatever connection is live then; and that an event waits while nobody is connected,
 * without using up a retry, unless the faults say it is lost. Commands and buttons are sent once: Slack shows the
 * person an error instead of trying again.
 * Does not read a clock or own a timer: `nextDue` says when `tick` wants to be called. Everything to be sent is handed
 * to `emit`, in order. Bounded: the newest thousands of acked envelopes stay known for `redeliver`, older ones go;
 * what was never acked stays, because a test asks for it.
 */
import type { Connections, Output } from "./Connections.ts"
import type { FaultDesk } from "./Faults.ts"
import type { JournalEvent } from "./Journal.ts"
import type { Json } from "./SlackShapes.ts"

export interface DeliveryOptions {
  readonly emit: (output: Output) => void
  readonly record: (event: JournalEvent, now: number) => void
  readonly faults: FaultDesk
  /** A new, unique envelope id. */
  readonly envelopeId: () => string
  readonly connections: Connections
}

const defaultRetryDelaysMs: ReadonlyArray<number> = [3_000, 60_000, 300_000]
const rememberedAcks = 10_000

/** An envelope that was acked, and what the ack carried. */
export interface Acked {
  readonly type: string
  readonly payload: Json
  readonly answer: unknown
}

interface Parcel {
  readonly type: string
  readonly label: string
  readonly payload: Json
  readonly eventId: string | undefined
  readonly about: string | undefined
  readonly acceptsResponse: boolean
  readonly envelopeIds: Array<string>
  /** The last attempt that was sent; -1 before the first. */
  attempt: number
  dueAt: number | undefined
  /** Due, and nobody there to take it. */
  waiting: boolean
  acked: boolean
}

export class Delivery {
  readonly #options: DeliveryOptions
  readonly #byEnvelope = new Map<string, Parcel>()
  readonly #byEvent = new Map<string, Parcel>()
  /** Parcels that may still need sending, in the order in which they came. */
  readonly #pending = new Set<Parcel>()
  readonly #acked: Array<Parcel> = []
  #soonest: number | undefined

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** The ids of events that were sent or are waiting, and not acked. */
  get unacked(): ReadonlyArray<string> {
    return [...this.#byEvent].filter(([, parcel]) => !parcel.acked).map(([id]) => id)
  }

  /** No later than the next moment at which `tick` has something to do. */
  get nextDue(): number | undefined {
    return this.#soonest
  }

  /** Somebody connected: what waited for that is sent. */
  opened(now: number): void {
    for (const parcel of this.#pending) if (parcel.waiting) this.#send(parcel, parcel.attempt + 1, now)
  }

  /** Sends a new envelope, or keeps it until somebody connects. Answers its envelope id. */
  submit(
    type: string,
    payload: Json,
    options: {
      readonly label: string
      readonly eventId?: string
      readonly acceptsResponse?: boolean
      /** The message it tells of, for the journal. */
      readonly about?: string | undefined
    },
    now: number
  ): string {
    const parcel: Parcel = {
      type,
      label: options.label,
      payload,
      eventId: options.eventId,
      about: options.about,
      acceptsResponse: options.acceptsResponse ?? false,
      envelopeIds: [],
      attempt: -1,
      dueAt: undefined,
      waiting: false,
      acked: false
    }
    const first = this.#addEnvelope(parcel)
    if (parcel.eventId !== undefined) this.#byEvent.set(parcel.eventId, parcel)
    const kept = parcel.eventId !== undefined && this.#options.faults.current.deliverWhileDown !== false
    if (this.#options.connections.live.length > 0 || kept) {
      this.#pending.add(parcel)
      this.#send(parcel, 0, now)
    } else {
      this.#options.record({ _tag: "EnvelopeLost", envelopeId: first, ...this.#names(parcel) }, now)
    }
    return first
  }

  /**
   * A frame from the client. Anything that is not an ack is ignored, as Slack does. Answers what was acked by it, and
   * with which answer.
   */
  received(connection: string, text: string, now: number): Acked | undefined {
    const frame = parse(text)
    const envelopeId = frame?.["envelope_id"]
    if (frame === undefined || typeof envelopeId !== "string") return undefined
    const parcel = this.#byEnvelope.get(envelopeId)
    const ignored = this.#options.faults.current.dropAcks === true || parcel === undefined
    this.#options.record({
      _tag: "AckReceived",
      envelopeId,
      ...(parcel?.eventId === undefined ? {} : { eventId: parcel.eventId }),
      connection,
      ...(parcel?.about === undefined ? {} : { about: parcel.about }),
      ignored,
      ...(frame["payload"] === undefined ? {} : { payload: frame["payload"] })
    }, now)
    if (ignored || parcel.acked) return undefined
    parcel.acked = true
    parcel.waiting = false
    parcel.dueAt = undefined
    this.#pending.delete(parcel)
    this.#acked.push(parcel)
    if (this.#acked.length > rememberedAcks) this.#forget(this.#acked.splice(0, rememberedAcks / 10))
    return { type: parcel.type, payload: parcel.payload, answer: frame["payload"] }
  }

  /**
   * Sends something again, acked or not. By envelope id: the same frame once more, attempt and envelope id unchanged,
   * which Slack has been seen to do. By event id: as the next retry, with a new envelope id.
   */
  redeliver(id: string, now: number): boolean {
    const same = this.#byEnvelope.get(id)
    const parcel = same ?? this.#byEvent.get(id)
    if (parcel === undefined || this.#options.connections.live.length === 0) return false
    this.#pending.add(parcel)
    this.#send(parcel, same === undefined ? parcel.attempt + 1 : Math.max(0, parcel.attempt), now, same && id)
    return true
  }

  /** Does what is due. Early and late calls are both harmless. */
  tick(now: number): void {
    this.#soonest = undefined
    for (const parcel of this.#pending) {
      if (parcel.dueAt === undefined) continue
      if (parcel.dueAt > now) this.#schedule(parcel.dueAt)
      else this.#send(parcel, parcel.attempt + 1, now)
    }
  }

  #send(parcel: Parcel, attempt: number, now: number, repeatEnvelope?: string): void {
    const connection = this.#options.connections.next()
    parcel.waiting = connection === undefined
    parcel.dueAt = undefined
    if (connection === undefined) return
    const envelopeId = repeatEnvelope ??
      (parcel.attempt === -1 ? parcel.envelopeIds[0] ?? this.#addEnvelope(parcel) : this.#addEnvelope(parcel))
    parcel.attempt = attempt
    const retry = { retry_attempt: attempt, retry_reason: attempt === 0 ? "" : "timeout" }
    const text = JSON.stringify({
      envelope_id: envelopeId,
      payload: parcel.payload,
      type: parcel.type,
      accepts_response_payload: parcel.acceptsResponse,
      ...(parcel.type === "events_api" ? retry : {})
    })
    this.#options.emit({ _tag: "Frame", connection, text })
    this.#options.record({
      _tag: "EnvelopeSent",
      envelopeId,
      ...this.#names(parcel),
      attempt,
      connection,
      ...(parcel.about === undefined ? {} : { about: parcel.about })
    }, now)
    const delay = (this.#options.faults.current.retryDelaysMs ?? defaultRetryDelaysMs)[attempt]
    if (parcel.acked || delay === undefined || parcel.eventId === undefined) this.#pending.delete(parcel)
    else this.#schedule(parcel.dueAt = now + delay)
  }

  #addEnvelope(parcel: Parcel): string {
    const id = this.#options.envelopeId()
    parcel.envelopeIds.push(id)
    this.#byEnvelope.set(id, parcel)
    return id
  }

  #schedule(at: number): void {
    this.#soonest = this.#soonest === undefined ? at : Math.min(this.#soonest, at)
  }

  #names(parcel: Parcel) {
    return { ...(parcel.eventId === undefined ? {} : { eventId: parcel.eventId }), type: parcel.label }
  }

  #forget(parcels: ReadonlyArray<Parcel>): void {
    for (const parcel of parcels) {
      for (const id of parcel.envelopeIds) this.#byEnvelope.delete(id)
      if (parcel.eventId !== undefined) this.#byEvent.delete(parcel.eventId)
    }
  }
}

const parse = (text: string): Json | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value as Json : undefined
  } catch {
    return undefined
  }
}
