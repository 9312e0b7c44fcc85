/**
 * Slack as the simulation has it: one SlackWorld, which is LocalSlack's core, and the network between it and a process.
 *
 * Frames and acks are on their way for a while and in order; calls of the Web API take effect in Slack at a moment of
 * their own, whether the process that made them still lives or not, and their answers may be lost, late or false. What
 * goes wrong is the weather's. A process that dies closes its connections, as the kernel does.
 * Does not: know what the gateway is to do about it.
 */
import { Clock, Deferred, Duration, Effect, Queue, Redacted } from "effect"
import { isRefusal } from "../../src/Endings.ts"
import type { Envelope } from "../../src/Envelope.ts"
import type { Settings } from "../../src/GatewayConfig.ts"
import { byCode, httpStatus, rateLimit } from "../../src/slack/classify.ts"
import { envelopeOf } from "../../src/slack/SocketMode.ts"
import { Ambiguous, NotSent, type SlackApiReason } from "../../src/SlackApi.ts"
import {
  type Connection,
  type Incoming,
  Refused,
  SlackConnection,
  SlackConnectionError,
  TooManyRequests,
  TurnedAway,
  Unreachable
} from "../../src/SlackConnection.ts"
import type { FaultPatch } from "../../src/testing/Faults.ts"
import { SlackWorld } from "../../src/testing/SlackWorld.ts"
import { type Answer, answerApi } from "../../src/testing/WebApi.ts"
import { fieldIn } from "../../src/untrustedJson.ts"
import type { Machine, Process } from "./Machine.ts"
import type { Weather } from "./Weather.ts"

const origin = "http://slack.invalid"
const startTimeout = 15_000

/** What Slack and the network tell whoever watches. */
export interface Watch {
  /** The gateway acks: now its row must be on disk. */
  readonly acking: (envelope: Envelope, process: Process) => void
  /** A call takes effect in Slack. */
  readonly taking: (method: string, params: Record<string, unknown>, process: Process) => void
  readonly took: (method: string, params: Record<string, unknown>, answer: Answer, process: Process) => void
  readonly point: (point: string, process: Process) => void
  readonly saw: (fault: string) => void
  readonly mark: (coincidence: string) => void
}

interface Line {
  readonly id: string
  readonly process: Process
  readonly frame: (text: string) => void
  readonly closed: () => void
  /** When the last thing on its way arrives, so that nothing overtakes. */
  toUs: number
  toSlack: number
  deaf: boolean
}

export class Slack {
  readonly world: SlackWorld
  readonly #machine: Machine
  readonly #lines = new Map<string, Line>()
  readonly #watch: Watch
  weather: Weather
  #tick: { readonly at: number; readonly cancel: () => void } | undefined
  /** Calls that a process waits for. */
  inFlight = 0

  constructor(machine: Machine, weather: Weather, watch: Watch, channels: ReadonlyArray<string>, faults: FaultPatch) {
    this.#machine = machine
    this.#watch = watch
    this.weather = weather
    this.world = new SlackWorld({ startedAt: machine.now, channels, faults })
  }

  /** Does something in Slack now, and sends what follows from it. */
  act<A>(run: (world: SlackWorld, now: number) => A): A {
    const result = run(this.world, this.#machine.now)
    for (const output of this.world.drain().output) {
      const line = this.#lines.get(output.connection)
      if (line === undefined) continue
      if (output._tag === "Frame") this.#toUs(line, () => line.frame(output.text))
      else this.#toUs(line, () => this.#end(line))
    }
    this.#schedule()
    return result
  }

  #schedule(): void {
    const due = this.world.nextDue
    if (due === undefined || (this.#tick !== undefined && this.#tick.at <= due)) return
    this.#tick?.cancel()
    this.#tick = {
      at: due,
      cancel: this.#machine.at(due, () => {
        this.#tick = undefined
        this.act((world, now) => world.tick(now))
        this.#schedule()
      })
    }
  }

  get live(): number {
    return this.#lines.size
  }

  connectionsOf(process: Process): number {
    return [...this.#lines.values()].filter((line) => line.process === process).length
  }

  // --- the connection

  #toUs(line: Line, run: () => void): void {
    const dice = this.#machine.dice
    if (!this.#lines.has(line.id)) return
    if (dice.fault("deaf", this.weather.deaf)) {
      line.deaf = true
      this.#watch.saw("deaf")
    }
    if (line.deaf) return
    if (dice.fault("drop", this.weather.drop)) {
      this.#watch.saw("drop")
      return this.#end(line)
    }
    line.toUs = Math.max(line.toUs, this.#machine.now + dice.of("latency").skewed(1, 300))
    this.#machine.at(line.toUs, () => this.#lines.has(line.id) ? run() : undefined, line.process)
  }

  #end(line: Line): void {
    if (!this.#lines.delete(line.id)) return
    this.act((world, now) => world.closed(line.id, now))
    this.#machine.at(this.#machine.now + this.#machine.dice.of("latency").skewed(1, 300), line.closed, line.process)
  }

  #ack(line: Line, envelope: Envelope, payload: unknown): void {
    const dice = this.#machine.dice
    line.process.guard()
    this.#watch.acking(envelope, line.process)
    this.#watch.point("before ack", line.process)
    line.process.guard()
    if (dice.fault("ackLost", this.weather.ackLost)) return this.#watch.saw("ackLost")
    if (line.deaf) return
    line.toSlack = Math.max(line.toSlack, this.#machine.now + dice.of("latency").skewed(1, 300))
    this.#machine.at(line.toSlack, () => {
      if (!this.#lines.has(line.id)) return this.#watch.mark("ack:lost with its connection")
      this.act((world, now) => world.received(line.id, JSON.stringify({ envelope_id: envelope.id, payload }), now))
    })
    this.#watch.point("after ack", line.process)
  }

  /** Ends connections, all or one of them. */
  drop(): void {
    for (const line of this.#lines.values()) this.#end(line)
  }

  /** The kernel closes what a dead process had open; what was on its way to Slack may still arrive. */
  died(process: Process): void {
    this.inFlight = 0
    for (const line of this.#lines.values()) {
      if (line.process !== process) continue
      this.#machine.at(line.toSlack, () => {
        if (this.#lines.delete(line.id)) this.act((world, now) => world.closed(line.id, now))
      })
    }
  }

  /** The door in, for one process. */
  connection(process: Process) {
    const machine = this.#machine
    const open = Effect.gen({ self: this }, function*() {
      const dice = machine.dice
      yield* Effect.sleep(dice.of("latency").skewed(20, 2_000))
      const answer = yield* this.call(process, "xapp-simulated", startTimeout)("apps.connections.open", {}).pipe(
        Effect.mapError((reason) => new SlackConnectionError({ reason: asConnectionReason(reason) }))
      )
      const ticket = new URL(String(fieldIn(answer, "url"))).searchParams.get("ticket") ?? ""
      if (dice.fault("refuse", this.weather.refuse)) {
        this.#watch.saw("refuse")
        return yield* dice.of("refusal").chance(0.3) ? Effect.never : unreachable("the WebSocket was refused")
      }
      const clock = yield* Clock.Clock
      const incoming = yield* Queue.unbounded<Incoming>()
      const disconnecting = yield* Deferred.make<string>()
      const closed = yield* Deferred.make<void>()
      const hello = yield* Deferred.make<unknown>()
      const id = this.world.open(ticket, machine.now)
      if (id === undefined) return yield* unreachable("the ticket is not known")
      let heardAt = clock.currentTimeMillisUnsafe()
      const line: Line = {
        id,
        process,
        toUs: 0,
        toSlack: 0,
        deaf: false,
        closed: () => Deferred.doneUnsafe(closed, Effect.void),
        frame: (text) => {
          heardAt = clock.currentTimeMillisUnsafe()
          const frame: unknown = JSON.parse(text)
          const type = fieldIn(frame, "type")
          const envelope = envelopeOf(frame)
          if (type === "hello") Deferred.doneUnsafe(hello, Effect.succeed(frame))
          else if (type === "disconnect") {
            Deferred.doneUnsafe(disconnecting, Effect.succeed(String(fieldIn(frame, "reason"))))
          } else if (envelope !== undefined) {
            Queue.offerUnsafe(incoming, {
              envelope,
              arrivedAt: heardAt,
              ack: (payload = {}) =>
                Effect.suspend(() => {
                  if (!this.#lines.has(id)) return unreachable("the connection is gone")
                  this.#ack(line, envelope, payload)
                  return Effect.void
                })
            })
          }
        }
      }
      this.#lines.set(id, line)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.guard()
          if (this.#lines.delete(id)) this.act((world, now) => world.closed(id, now))
        })
      )
      this.act(() => undefined)
      const said = yield* Effect.raceAllFirst([
        Deferred.await(hello),
        Effect.flatMap(
          Deferred.await(disconnecting),
          (reason) => new SlackConnectionError({ reason: new TurnedAway({ reason }) })
        ),
        Effect.andThen(Deferred.await(closed), unreachable("closed before Slack's hello"))
      ])
      const lifetime = fieldIn(fieldIn(said, "debug_info"), "approximate_connection_time")
      return {
        incoming,
        disconnecting: Deferred.await(disconnecting),
        closed: Deferred.await(closed),
        connections: Number(fieldIn(said, "num_connections")),
        approximateConnectionMs: typeof lifetime === "number" ? lifetime * 1_000 : null,
        lastHeardAt: Effect.sync(() => {
          // Pings and pongs go to and fro all the time.
          if (this.#lines.has(id) && !line.deaf) heardAt = clock.currentTimeMillisUnsafe()
          return heardAt
        })
      } satisfies Connection
    })
    return SlackConnection.of({
      open: Effect.timeoutOrElse(open, {
        duration: startTimeout,
        orElse: () => unreachable("no hello in time")
      })
    })
  }

  // --- the Web API

  caller(process: Process) {
    return (config: Settings) =>
      this.call(process, Redacted.value(config.botToken), Duration.toMillis(config.requestTimeout))
  }

  /** One call, and what becomes of it on its way there and back. */
  call(process: Process, token: string, timeout: number) {
    return (method: string, params: Record<string, unknown>): Effect.Effect<object, SlackApiReason> =>
      Effect.callback<object, SlackApiReason>((resume) => {
        process.guard()
        const { dice } = this.#machine
        const latency = dice.of("latency")
        const { weather } = this
        const isPost = /^(chat|reactions|files)\./.test(method)
        const happens = (kind: keyof Weather) => {
          const does = dice.fault(kind, weather[kind])
          if (does) this.#watch.saw(kind)
          return does
        }
        this.inFlight += 1
        this.#watch.point("before call", process)
        process.guard()
        let done = false
        const settle = (result: Effect.Effect<object, SlackApiReason>) => {
          if (done) return
          done = true
          this.inFlight -= 1
          resume(result)
        }
        const back = (ms: number, result: Effect.Effect<object, SlackApiReason>) =>
          process.later(ms, () => settle(result))
        process.later(timeout, () => settle(noAnswer("timeout", true)))
        if (happens("notSent")) {
          const detail = latency.pick(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"])
          back(latency.skewed(1, 500), Effect.fail(new NotSent({ detail })))
        } else if (happens("lost")) {
          back(latency.skewed(1, 500), noAnswer("ECONNRESET"))
        } else {
          // A request that is late takes effect when nobody waits for it any more.
          const isLate = happens("late")
          const there = isLate ? latency.between(timeout, Math.floor(timeout * 1.9)) : latency.skewed(5, 400)
          this.#machine.at(this.#machine.now + there, () => {
            const faults = this.#faultsOf(method, happens)
            if (isPost) this.#watch.taking(method, params, process)
            const answer = this.act((world, now) => {
              if (faults !== undefined) world.faults.patch(faults)
              const given = answerApi(world, { method, params, token, origin }, now)
              if (faults !== undefined) {
                world.faults.patch(Object.fromEntries(Object.keys(faults).map((key) => [key, null])))
              }
              return given
            })
            const [last] = this.world.journal.slice(-1)
            if (last?._tag === "ApiCall" && last.committed) this.#watch.took(method, params, answer, process)
            if (process.alive) this.#watch.point("after call", process)
            const slow = happens("slowAnswer") ? latency.between(500, timeout + 2_000) : latency.skewed(5, 400)
            back(slow, answered(answer.action, method, timeout))
          })
        }
        return Effect.sync(() => {
          if (!done) this.inFlight -= 1
          done = true
        })
      })
  }

  #faultsOf(method: string, happens: (kind: keyof Weather) => boolean): FaultPatch | undefined {
    const latency = this.#machine.dice.of("latency")
    if (happens("resetAfter")) return { resetAfterCommit: { method, times: 1 } }
    if (method === "chat.postMessage" && happens("permanent")) {
      return { error: { method, times: 1, code: "restricted_action" } }
    }
    if (happens("tooMany")) return { rateLimit: { method, times: 1, retryAfterSeconds: latency.between(1, 20) } }
    if (happens("serverError")) {
      return {
        httpStatus: { method, times: 1, status: latency.pick([500, 502, 503]), afterCommit: latency.chance(0.5) }
      }
    }
    return undefined
  }
}

const unreachable = (detail: string) => Effect.fail(new SlackConnectionError({ reason: new Unreachable({ detail }) }))
const noAnswer = (detail: string, late = false) => Effect.fail(new Ambiguous({ detail, late }))

const asConnectionReason = (reason: SlackApiReason) => {
  if (reason._tag === "RateLimited") return new TooManyRequests({ retryAfterMs: reason.retryAfterMs })
  if ("code" in reason && isRefusal(reason.code)) return new Refused({ code: reason.code })
  return new Unreachable({ detail: "detail" in reason ? reason.detail : reason._tag })
}

/** What comes of an answer, as the client's rejections mean it. */
const answered = (
  action: Answer["action"],
  method: string,
  timeout: number
): Effect.Effect<object, SlackApiReason> => {
  if (action._tag === "Reset") return noAnswer("UND_ERR_SOCKET")
  if (action._tag !== "Ok" && action._tag !== "Answer") {
    return Effect.andThen(Effect.sleep(timeout), noAnswer("timeout", true))
  }
  if (action._tag === "Answer" && action.status === 429) {
    return Effect.fail(rateLimit(Number(action.headers["retry-after"])))
  }
  if (action._tag === "Answer" && action.status !== 200) return Effect.fail(httpStatus(action.status))
  const body: unknown = JSON.parse(action.body)
  return fieldIn(body, "ok") === true
    ? Effect.succeed(body as object)
    : Effect.fail(byCode(fieldIn(body, "error"), body as object, method))
}
