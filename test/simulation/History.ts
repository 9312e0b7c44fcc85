/**
 * One history: a seed, and everything that follows from it.
 *
 * People act, the gateway lives, dies, stops and starts again, and things go wrong as the weather says; then it is calm,
 * and all that is unfinished must come to its end within a stated time. What must hold is checked at every commit, at
 * every ack and post, at the start of every turn, when everything is at rest, and after an orderly stop.
 */
import { type Cause, Duration, type Exit, type Fiber } from "effect"
import { createHash } from "node:crypto"
import type { Mode, Settings } from "../../src/GatewayConfig.ts"
import { GaveUp } from "../../src/Supervisor.ts"
import * as MemorySpool from "../../src/memory/Spool.ts"
import { fieldIn } from "../../src/untrustedJson.ts"
import { handlerOf, tagIn } from "./Behaviour.ts"
import { Dice, type Omitted } from "./Dice.ts"
import { Disk, type Kind } from "./Disk.ts"
import { Ledger } from "./Ledger.ts"
import { Machine, Process } from "./Machine.ts"
import { judge } from "./Model.ts"
import { Watched } from "./Moves.ts"
import { channels, type Deed, deedsOf, directOf, personOf } from "./People.ts"
import { isolated } from "./Runtime.ts"
import { house } from "./Rooms.ts"
import { Slack } from "./Slack.ts"
import { isSettled, tablesOf } from "./Tables.ts"
import { calm, type Weather, weatherOf } from "./Weather.ts"

/** Virtual time begins here: a day on which "two minutes ago" is not before 1970. */
const epoch = 1_790_000_000_000
/** Once nothing goes wrong any more, everything has come to its end after this long (ms). */
export const restWithin = 30 * 60_000
const stopWithin = 25_000

export interface Violation {
  readonly rule: string
  readonly detail: string
  readonly at: number
}

export interface Outcome {
  readonly seed: number
  readonly digest: string
  readonly steps: number
  readonly virtualMs: number
  readonly violation: Violation | undefined
  readonly coverage: ReadonlyMap<string, number>
  readonly drawn: ReadonlyArray<string>
  readonly deeds: ReadonlyArray<number>
  readonly lines: ReadonlyArray<string>
}

/** What of a gateway's settings a history draws. */
const settingsOf = (dice: Dice) => {
  const stream = dice.of("settings")
  const time = (...ms: ReadonlyArray<number>) => Duration.millis(stream.pick(ms))
  return {
    debounce: time(0, 0, 500, 2_000),
    concurrency: stream.pick([1, 2, 4, 16]),
    mode: stream.pick<Mode>(["collect", "collect", "followup", "steer", "interrupt"]),
    maxAttempts: stream.pick([2, 3, 5]),
    maxWaiting: stream.chance(0.1) ? 2 : 1_000,
    retryDelay: time(200, 1_000, 5_000),
    connections: stream.pick([1, 1, 2]),
    handlerTimeout: time(30_000, 60_000),
    paceInterval: time(0, 1_000)
  } satisfies Partial<Settings>
}

interface Arm {
  readonly point: string
  left: number
}

const killPoints = [
  "now",
  "step",
  "before begin",
  "before commit",
  "after commit",
  "before write",
  "after write",
  "before ack",
  "after ack",
  "before call",
  "after call",
  "handler"
] as const

export class History {
  readonly dice: Dice
  readonly machine: Machine
  readonly disk: Disk
  readonly slack: Slack
  readonly ledger: Ledger
  readonly #weather: Weather
  readonly #watched = new Watched()
  readonly #settings: ReturnType<typeof settingsOf>
  readonly #deeds: ReadonlyArray<Deed>
  readonly #heartbeat: boolean
  #calm = false
  #over = false
  #spool = MemorySpool.layer
  #arm: Arm | undefined
  #process: Process | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #lives = 0
  #stopping: number | undefined
  #stoodStill = 0
  violation: Violation | undefined
  #poison = new Set<string>()
  /** Roots that people can reply to. */
  readonly #roots: Array<{ readonly channel: string; readonly ts: string; readonly direct: boolean }> = []

  constructor(seed: number, root: string, options: { readonly omitted?: Omitted; readonly keeps?: boolean } = {}) {
    this.dice = new Dice(seed, options.omitted)
    this.machine = new Machine(this.dice, epoch)
    this.disk = new Disk(this.machine, root)
    this.ledger = new Ledger(options.keeps === true)
    this.#weather = weatherOf(this.dice)
    this.#settings = settingsOf(this.dice)
    this.#deeds = deedsOf(this.dice)
    this.#heartbeat = this.dice.of("settings").chance(0.1)
    const stream = this.dice.of("slack")
    this.slack = new Slack(this.machine, this.#weather, {
      acking: (envelope, process) => this.#acking(envelope, process),
      taking: (method, params) => this.#taking(method, params),
      took: (method, _params, answer) => {
        this.ledger.note(this.machine.now, `call ${method} ${answer.action._tag}`)
      },
      point: (point, process) => this.#point(point, process),
      saw: (what) => this.ledger.saw(what)
    }, channels, {
      echoes: stream.chance(0.7),
      mentionFirst: stream.chance(0.3),
      ...(stream.chance(0.5) ? { historyLagMs: stream.between(0, 9_000) } : {}),
      ...(stream.chance(0.3) ? { limits: "on" as const } : {})
    })
    this.disk.fate = {
      before: (kind, inTransaction) => this.#statement(kind, inTransaction),
      point: (point) => this.#process === undefined ? undefined : this.#point(point, this.#process),
      committed: () => this.#committed()
    }
  }

  violated(rule: string, detail: string): void {
    if (this.violation !== undefined) return
    this.violation = { rule, detail, at: this.machine.now - epoch }
    this.ledger.note(this.machine.now, `VIOLATION ${rule}: ${detail}`)
  }

  // --- what the process meets

  #statement(kind: Kind, inTransaction: boolean) {
    const weather = this.#calm ? calm : this.#weather
    const isCommit = kind === "commit" || (kind === "write" && !inTransaction)
    const saw = (what: string) => this.ledger.saw(`fault:${what}`)
    if ((kind === "begin" || isCommit) && this.dice.fault("slowDisk", weather.slowDisk)) {
      saw("slowDisk")
      return { takes: this.dice.of("disk").skewed(20, 3_000) }
    }
    if ((kind === "begin" || (isCommit && kind === "write")) && this.dice.fault("busy", weather.busy)) {
      saw("busy")
      return { fails: "busy" as const }
    }
    if ((kind === "write" || isCommit) && this.dice.fault("full", weather.full)) {
      saw("full")
      return { fails: "full" as const }
    }
    if (isCommit && this.dice.fault("ioerr", weather.ioerr)) {
      saw("ioerr")
      return { fails: "ioerr" as const }
    }
    return {}
  }

  #committed(): void {
    this.ledger.note(this.machine.now, `commit ${this.disk.statements}`)
    const wrong = this.#watched.look(this.disk, (what) => this.ledger.saw(what))
    if (wrong !== undefined) this.violated("rows move as drawn", wrong)
  }

  /** G1: what is acked is on disk. */
  #acking(envelope: { readonly id: string; readonly payload: unknown }, process: Process): void {
    if (!process.alive) return
    const event = fieldIn(envelope.payload, "event_id")
    const key = typeof event === "string" ? `event:${event}` : `envelope:${envelope.id}`
    const found = this.disk.rows("SELECT 1 FROM slackwater_message_keys WHERE key = ?", key)
    this.ledger.note(this.machine.now, `ack ${key}`)
    if (found.length === 0) this.violated("G1: persist before ack", `${key} is acked and not on disk`)
    const text = fieldIn(fieldIn(envelope.payload, "event"), "text") ?? fieldIn(envelope.payload, "text")
    if (typeof text === "string" && !this.#isOwn(envelope.payload)) this.ledger.acked.add(tagIn(text))
  }

  #isOwn(payload: unknown): boolean {
    const event = fieldIn(payload, "event")
    return fieldIn(event, "user") === "U0BOT" || fieldIn(event, "subtype") !== undefined
  }

  /** G6: what takes effect in Slack was on its way on disk, and did not take effect before. */
  #taking(method: string, params: Record<string, unknown>): void {
    this.ledger.note(this.machine.now, `taking ${method} ${String(params["text"] ?? "")}`)
    if (method !== "chat.postMessage") return
    const given = params["metadata"]
    const metadata: unknown = typeof given === "string" ? JSON.parse(given) : given
    const key = fieldIn(fieldIn(metadata, "event_payload"), "key")
    if (typeof key !== "string") return this.violated("G6: a post carries its key", String(params["text"]))
    const known = this.disk.rows<{ readonly key: string; readonly state: string }>(
      "SELECT key, state FROM slackwater_outbox"
    ).find((row) => createHash("sha256").update(row.key).digest("hex").slice(0, 32) === key)
    if (known === undefined) return this.violated("G6: a post has a row", String(params["text"]))
  }

  #point(point: string, process: Process): void {
    if (process !== this.#process || !process.alive || this.#calm) return
    if (point === "poison") {
      this.ledger.saw("kill:poison")
      return this.die("poison")
    }
    const arm = this.#arm
    if (arm === undefined || arm.point !== point || --arm.left > 0) return
    this.#arm = undefined
    this.die(point)
  }

  // --- its lives

  #start(): void {
    if (this.#process !== undefined || this.#over) return
    const process = new Process(this.machine, `life-${++this.#lives}`)
    const life = this.#lives
    this.#process = process
    this.#stopping = undefined
    this.disk.process = process
    this.ledger.note(this.machine.now, `start ${life}`)
    process.beforeStep = () => this.#point("step", process)
    const handler = handlerOf({
      machine: this.machine,
      dice: this.dice,
      ledger: this.ledger,
      life,
      process,
      weather: () => this.#calm ? calm : this.#weather,
      violated: (rule, detail) => this.violated(rule, detail),
      point: (point) => this.#point(point, process),
      isPoison: (tag) => this.#poison.has(tag)
    })
    const fiber = process.run(house({
      process,
      slack: this.slack,
      spool: this.#spool,
      settings: { ...this.#settings, dataDir: this.disk.dataDir },
      handler,
      heartbeat: this.#heartbeat,
      log: (level, text) => this.#log(level, text)
    }))
    this.#fiber = fiber
    fiber.addObserver((exit) => {
      if (process.alive) this.#ended(process, exit)
    })
  }

  #log(level: string, text: string): void {
    this.ledger.note(this.machine.now, `log ${level} ${this.disk.anywhere(text)}`)
    if (/defect/.test(text) && !/turn failed|ended in a defect and stays/.test(text)) this.ledger.saw(`log:${text.slice(0, 80)}`)
  }

  /** Nothing of it runs again; its files stay as they are. */
  die(why: string): void {
    const process = this.#process
    if (process === undefined) return
    this.ledger.deaths += 1
    this.ledger.saw(`kill:${why}`)
    this.ledger.note(this.machine.now, `die ${why}`)
    for (const run of this.ledger.runs) if (run.ended === "running") run.ended = "died"
    process.kill()
    this.disk.died()
    this.slack.died(process)
    this.#process = undefined
    this.#fiber = undefined
    const stream = this.dice.of("deaths")
    // Often right in the recovery of the last one.
    this.#arm = undefined
    if (!this.#calm && stream.chance(0.25) && this.dice.planned("kill")) this.#armKill()
    this.machine.at(this.machine.now + stream.skewed(50, 20_000), () => this.#start())
  }

  #armKill(): void {
    const stream = this.dice.of("deaths")
    const point = stream.pick(killPoints)
    if (point === "now") this.die("now")
    else this.#arm = { point, left: point === "step" ? stream.between(1, 3_000) : stream.skewed(1, 40) }
  }

  #stop(): void {
    if (this.#fiber === undefined || this.#stopping !== undefined) return
    this.ledger.stops += 1
    this.ledger.saw("stop")
    this.ledger.note(this.machine.now, "stop")
    this.#stopping = this.machine.now
    this.#stoodStill = this.machine.stoodStill
    this.#fiber.interruptUnsafe()
  }

  /** It has ended by itself, as told or because it gave up. */
  #ended(process: Process, exit: Exit.Exit<unknown, unknown>): void {
    const stopping = this.#stopping
    const why = exit._tag === "Failure" ? reasonOf(exit.cause) : "ended"
    this.ledger.note(this.machine.now, `ended ${this.disk.anywhere(why)}`)
    if (stopping === undefined) this.ledger.saw(`gave up: ${why.slice(0, 60)}`)
    else if (this.machine.now - stopping > stopWithin + 5_000 + this.machine.stoodStill - this.#stoodStill) {
      this.violated("G7: one deadline", `the stop took ${this.machine.now - stopping} ms`)
    }
    for (const run of this.ledger.runs) {
      if (run.ended === "running" && run.life === this.#lives) run.ended = "interrupted"
    }
    this.#process = undefined
    this.#fiber = undefined
    // What the end left behind gets its turn, and then there must be nothing.
    this.machine.at(this.machine.now + 3_000, () => {
      if (stopping !== undefined && !this.#calm) return
      if (process.sleeping > 0 || !process.idle || this.slack.connectionsOf(process) > 0) {
        this.violated(
          "nothing is left after a stop",
          `${process.sleeping} sleeping, ${process.idle ? "none" : "some"} ready, ${this.slack.connectionsOf(process)} connections`
        )
      }
    })
    this.machine.at(this.machine.now + 3_100, () => {
      process.kill()
      this.disk.ended()
    })
    if (!this.#over) this.machine.at(this.machine.now + 3_200 + this.dice.of("deaths").skewed(0, 20_000), () => this.#start())
  }

  // --- people

  #do(deed: Deed): void {
    const tag = `m${deed.number}`
    const { does, place } = deed
    const user = personOf(place)
    const stream = this.dice.once(`deed ${deed.number}`)
    const channel = channels[place] ?? "C0ONE"
    this.ledger.note(this.machine.now, `deed ${does} ${tag}`)
    if (deed.poison) this.#poison.add(tag)
    const say = (said: { channel: string; text: string; thread_ts?: string }, addressed: boolean | "maybe") => {
      const posted = this.slack.act((world, now) => world.say({ user, ...said }, now))
      if (!posted.ok) return
      this.ledger.said.push({
        tag,
        kind: "message",
        channel: said.channel,
        ts: posted.ts,
        threadTs: said.thread_ts,
        addressed,
        at: this.machine.now,
        poison: deed.poison
      })
      if (said.thread_ts === undefined) {
        this.#roots.push({ channel: said.channel, ts: posted.ts, direct: said.channel.startsWith("D") })
      }
    }
    if (does === "mention") say({ channel, text: `<@U0BOT> ${tag}` }, true)
    else if (does === "direct") say({ channel: directOf(place), text: tag }, true)
    else if (does === "chatter") say({ channel, text: tag }, false)
    else if (does === "command") {
      const sent = this.slack.act((world, now) =>
        world.command({ command: "/ask", text: tag, user, channel }, "http://slack.invalid", now)
      )
      if (sent.ok) {
        this.ledger.said.push({
          tag,
          kind: "command",
          channel,
          ts: "",
          threadTs: undefined,
          addressed: "maybe",
          at: this.machine.now,
          poison: deed.poison
        })
      }
    } else if (this.#roots.length > 0) {
      const root = stream.pick(this.#roots)
      // In a thread under chatter nobody speaks to the bot.
      say({ channel: root.channel, text: tag, thread_ts: root.ts }, root.direct ? true : "maybe")
    }
    this.#befall()
  }

  /** What happens beside what people do. */
  #befall(): void {
    const weather = this.#weather
    const stream = this.dice.of("events")
    const now = this.machine.now
    const soon = (kind: keyof Weather & string, run: () => void) => {
      if (!this.dice.fault(kind, weather[kind])) return
      this.machine.at(now + stream.skewed(0, 8_000), () => {
        if (this.#calm) return
        this.ledger.saw(`fault:${kind}`)
        run()
      })
    }
    soon("kill", () => this.#armKill())
    soon("stop", () => this.#stop())
    soon("freeze", () => this.#process?.freeze(stream.skewed(100, 90_000)))
    soon("refresh", () =>
      this.slack.act((world, at) => world.disconnect(stream.pick(["warning", "refresh_requested", "too_many_websockets"]), at))
    )
    soon("again", () =>
      this.slack.act((world, at) => {
        const sent = world.journal.filter((entry) => entry._tag === "EnvelopeSent")
        const entry = sent.length === 0 ? undefined : stream.pick(sent.slice(-5))
        if (entry?._tag === "EnvelopeSent") {
          world.redeliver(stream.chance(0.5) ? entry.envelopeId : entry.eventId ?? entry.envelopeId, at)
        }
      })
    )
  }

  // --- the whole

  run(): Outcome {
    const { machine } = this
    try {
      machine.at(machine.now, () => this.#start())
      for (const deed of this.#deeds) machine.at(epoch + 500 + deed.at, () => this.#do(deed))
      const last = this.#deeds.at(-1)?.at ?? 0
      const isWrong = () => this.violation !== undefined
      machine.run(epoch + last + 20_000, isWrong)
      this.#settle(isWrong)
    } catch (error) {
      this.violated("the simulation itself", error instanceof Error ? error.stack ?? error.message : String(error))
    }
    const outcome = {
      seed: this.dice.seed,
      digest: this.ledger.digest(),
      steps: machine.steps,
      virtualMs: machine.now - epoch,
      violation: this.violation,
      coverage: this.ledger.coverage,
      drawn: this.dice.drawn,
      deeds: this.#deeds.map(({ number }) => number),
      lines: this.ledger.lines
    }
    this.#process?.kill()
    this.disk.remove()
    return outcome
  }

  /** Nothing goes wrong any more: everything comes to its end, and so does the gateway. */
  #settle(isWrong: () => boolean): void {
    const { machine } = this
    this.#calm = true
    this.#arm = undefined
    this.slack.weather = calm
    this.#poison.clear()
    const since = machine.now
    this.ledger.note(machine.now, "calm")
    let settled = false
    while (!isWrong() && machine.now < since + restWithin) {
      machine.run(machine.now + 5_000, isWrong)
      if (this.#process !== undefined && this.#stopping === undefined && isSettled(this.disk)) {
        // What Slack still has to deliver again.
        if (this.slack.world.unacked.length === 0 || machine.now > since + 8 * 60_000) {
          settled = true
          break
        }
      }
    }
    if (isWrong()) return
    const { world } = this.slack
    const wrong = judge({
      tables: tablesOf(this.disk),
      ledger: this.ledger,
      slack: [...channels, "C0GENERAL", directOf(0), directOf(1)].flatMap((channel) =>
        world.messages(channel).map(({ text, ts, user }) => ({ channel, ts, text, user: user ?? "" }))
      ),
      settings: this.#settings,
      deaths: this.ledger.deaths
    })
    if (wrong !== undefined) return this.violated(settled ? "at rest" : "liveness", wrong)
    if (!settled) return this.violated("liveness", `not at rest within ${restWithin / 60_000} minutes: ${world.unacked.join(" ")}`)
    this.#over = true
    this.#stop()
    machine.run(machine.now + 40_000, isWrong)
    if (this.#process !== undefined) this.violated("G7: one deadline", "an idle gateway did not stop within 40 s")
  }
}

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const [reason] = cause.reasons
  if (reason === undefined) return "nothing"
  if (reason._tag === "Interrupt") return "interrupted"
  const error: unknown = reason._tag === "Fail" ? reason.error : reason.defect
  return error instanceof GaveUp ? `${error.exitCode} ${error.detail}` : error instanceof Error ? error.stack ?? error.message : String(error)
}

/** Runs one seed. */
export const simulate = (
  seed: number,
  root: string,
  options: { readonly omitted?: Omitted; readonly keeps?: boolean } = {}
): Outcome => {
  const history = new History(seed, root, options)
  return isolated(history.dice.of("runtime"), () => history.run())
}
