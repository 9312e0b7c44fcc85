/**
 * One history: a seed, and everything that follows from it.
 *
 * People act, the gateway lives, dies, stops and starts again, and things go wrong as the weather says; then it is calm,
 * and all that is unfinished must come to its end within a stated time. What must hold is checked at every commit, at
 * every ack and post, at the start of every turn, when everything is at rest, and after an orderly stop.
 */
import { Duration } from "effect"
import * as MemorySpool from "../../src/memory/Spool.ts"
import { handlerOf } from "./Behaviour.ts"
import { Dice, type Omitted } from "./Dice.ts"
import { Disk, type Kind } from "./Disk.ts"
import { Guards } from "./Guards.ts"
import { Ledger } from "./Ledger.ts"
import { Lives, roomNow } from "./Lives.ts"
import { Machine, type Process } from "./Machine.ts"
import { judge } from "./Model.ts"
import { wishOf } from "./Operator.ts"
import { channels, type Deed, deedsOf, directOf, perform, type Root } from "./People.ts"
import { house } from "./Rooms.ts"
import { isolated } from "./Runtime.ts"
import { changesOf, type Drawn, settingsOf } from "./Settings.ts"
import { Slack } from "./Slack.ts"
import { isSettled, tablesOf } from "./Tables.ts"
import { calm, type Weather, weatherOf } from "./Weather.ts"

/** Virtual time begins here: a day on which "two minutes ago" is not before 1970. */
const epoch = 1_790_000_000_000
/** Once nothing goes wrong any more, everything has come to its end after this long (ms). */
export const restWithin = 30 * 60_000
/** How wrong a clock may be (ms): less than what is looked for around a wrong time. */
const mostWrong = 90 * 60_000
/** What is said to a gateway at rest is answered within this time (ms). */
const answerWithin = 25_000
/** Slack's last repetition of what nobody acked comes after six minutes. */
const lastRepetition = 8 * 60_000

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

export interface Telling {
  readonly omitted?: Omitted
  /** Whether every line is kept, and not only their digest. */
  readonly keeps?: boolean
}

class History {
  readonly dice: Dice
  readonly #machine: Machine
  readonly #disk: Disk
  readonly #slack: Slack
  readonly #ledger: Ledger
  readonly #guards: Guards
  readonly #lives: Lives
  readonly #weather: Weather
  readonly #settings: Drawn
  readonly #deeds: ReadonlyArray<Deed>
  readonly #roots: Array<Root> = []
  readonly #poison = new Set<string>()
  #calm = false
  #violation: Violation | undefined

  constructor(seed: number, root: string, { keeps = false, omitted }: Telling) {
    const dice = this.dice = new Dice(seed, omitted)
    const machine = this.#machine = new Machine(dice, epoch)
    const disk = this.#disk = new Disk(machine, root)
    const ledger = this.#ledger = new Ledger(keeps)
    const violated = (rule: string, detail: string) => this.#violated(rule, detail)
    this.#weather = weatherOf(dice)
    this.#settings = settingsOf(dice)
    this.#deeds = deedsOf(dice)
    const guards = this.#guards = new Guards(machine, disk, ledger, violated)
    const stream = dice.of("slack")
    const slack = this.#slack = new Slack(
      machine,
      this.#weather,
      {
        acking: (envelope, process) => guards.acking(envelope, process, slack.connectionsOf(process)),
        taking: (method, params, process) => guards.taking(method, params, process),
        took: (method, params, answer) => {
          ledger.note(machine.now, `took ${method} ${answer.action._tag}`)
          if (method === "chat.postMessage") guards.posted(params)
        },
        point: (point, process) => this.#lives.point(point, process),
        saw: (fault) => this.#met(fault),
        mark: (coincidence) => ledger.saw(coincidence)
      },
      channels,
      {
        echoes: stream.chance(0.7),
        mentionFirst: stream.chance(0.3),
        deliverWhileDown: stream.chance(0.7),
        ...(stream.chance(0.5) ? { historyLagMs: stream.between(0, 9_000) } : {}),
        ...(stream.chance(0.3) ? { limits: "on" as const } : {})
      }
    )
    const heartbeat = dice.of("settings").chance(0.1)
    this.#lives = new Lives({
      machine,
      dice,
      disk,
      slack,
      ledger,
      violated,
      program: (process, life, doors) =>
        house({
          ...doors,
          process,
          slack,
          spool: MemorySpool.layer,
          settings: { ...this.#settings, dataDir: disk.dataDir },
          handler: this.#handler(process, life),
          heartbeat,
          log: (level, text) => ledger.note(machine.now, `log ${level} ${disk.anywhere(text)}`)
        })
    })
    disk.fate = {
      before: (kind, inTransaction) => this.#statement(kind, inTransaction),
      point: (point) => disk.process === undefined ? undefined : this.#lives.point(point, disk.process),
      committed: (tables) => guards.committed(tables),
      mark: (coincidence) => ledger.saw(coincidence)
    }
  }

  #handler(process: Process, life: number) {
    return handlerOf({
      machine: this.#machine,
      dice: this.dice,
      ledger: this.#ledger,
      life,
      process,
      weather: () => this.#calm ? calm : this.#weather,
      violated: (rule, detail) => this.#violated(rule, detail),
      point: (point) => this.#lives.point(point, process),
      isPoison: (tag) => this.#poison.has(tag),
      isStopping: () => this.#lives.isStopping,
      isReloading: () => this.#lives.isReloading,
      handlerTimeout: Duration.toMillis(this.#settings.handlerTimeout)
    })
  }

  #violated(rule: string, detail: string): void {
    if (this.#violation !== undefined) return
    this.#violation = { rule, detail, at: this.#machine.now - epoch }
    this.#ledger.note(this.#machine.now, `VIOLATION ${rule}: ${detail}`)
  }

  /** A fault strikes: it is counted, with the room that meets it. */
  #met(fault: string): void {
    this.#ledger.saw(`fault:${fault}`)
    this.#ledger.saw(`met:${fault}@${roomNow()}`)
    this.#ledger.note(this.#machine.now, `fault ${fault}`)
  }

  /** What the disk does to a statement. */
  #statement(kind: Kind, inTransaction: boolean) {
    const weather = this.#calm ? calm : this.#weather
    const isCommit = kind === "commit" || (kind === "write" && !inTransaction)
    const strikes = (fault: "slowDisk" | "busy" | "full" | "ioerr") => {
      const does = this.dice.fault(fault, weather[fault])
      if (does) this.#met(fault)
      if (does && fault !== "slowDisk") this.#ledger.troubles += 1
      return does
    }
    if ((kind === "begin" || isCommit) && strikes("slowDisk")) {
      return { takes: this.dice.of("disk").skewed(20, 3_000) }
    }
    if ((kind === "begin" || (isCommit && kind === "write")) && strikes("busy")) return { fails: "busy" as const }
    if ((kind === "write" || isCommit) && strikes("full")) return { fails: "full" as const }
    if (isCommit && strikes("ioerr")) return { fails: "ioerr" as const }
    return {}
  }

  #do(deed: Deed): void {
    this.#ledger.note(this.#machine.now, `deed ${deed.does} m${deed.number}`)
    if (deed.poison) this.#poison.add(`m${deed.number}`)
    perform(deed, {
      slack: this.#slack,
      ledger: this.#ledger,
      roots: this.#roots,
      now: this.#machine.now,
      dice: this.dice
    })
    this.#befall()
  }

  /** What happens beside what people do. */
  #befall(): void {
    const stream = this.dice.of("events")
    const slack = this.#slack
    const soon = (
      kind: "kill" | "stop" | "freeze" | "reload" | "clock" | "wish" | "refresh" | "again",
      run: () => void
    ) => {
      if (!this.dice.fault(kind, this.#weather[kind])) return
      this.#machine.at(this.#machine.now + stream.skewed(0, 8_000), () => {
        if (this.#calm) return
        this.#met(kind)
        run()
      })
    }
    soon("kill", () => this.#lives.arm())
    soon("stop", () => this.#lives.stop())
    soon("reload", () => this.#lives.reload(changesOf(stream)))
    soon("freeze", () => {
      const ms = stream.skewed(100, 90_000)
      if (ms > 10_000) this.#ledger.saw("freeze:long")
      this.#lives.process?.freeze(ms)
    })
    soon("wish", () => this.#lives.wish(wishOf(stream)))
    soon("clock", () => {
      const by = stream.skewed(500, mostWrong) * stream.pick([1, -1])
      this.#machine.wrongBy = Math.max(-mostWrong, Math.min(mostWrong, this.#machine.wrongBy + by))
      this.#ledger.saw(by < 0 ? "clock:set back" : "clock:set forward")
      this.#ledger.note(this.#machine.now, `clock ${this.#machine.wrongBy}`)
    })
    soon("refresh", () => {
      const reason = stream.pick(["warning", "refresh_requested", "too_many_websockets"])
      slack.act((world, now) => world.disconnect(reason, now))
    })
    soon("again", () => {
      const sent = slack.world.journal.filter((entry) => entry._tag === "EnvelopeSent").slice(-5)
      if (sent.length === 0) return
      const { envelopeId, eventId } = stream.pick(sent)
      const id = stream.chance(0.5) ? envelopeId : eventId ?? envelopeId
      slack.act((world, now) => world.redeliver(id, now))
    })
  }

  readonly #isWrong = () => this.#violation !== undefined

  run(): Outcome {
    const machine = this.#machine
    try {
      machine.at(machine.now, () => this.#lives.start())
      for (const deed of this.#deeds) machine.at(epoch + 500 + deed.at, () => this.#do(deed))
      machine.run(epoch + (this.#deeds.at(-1)?.at ?? 0) + 20_000, this.#isWrong)
      this.#rest()
    } catch (error) {
      this.#violated("the simulation itself", error instanceof Error ? error.stack ?? error.message : String(error))
    }
    this.#lives.isOver = true
    this.#lives.process?.kill()
    this.#disk.remove()
    return {
      seed: this.dice.seed,
      digest: this.#ledger.digest(),
      steps: machine.steps,
      virtualMs: machine.now - epoch,
      violation: this.#violation,
      coverage: this.#ledger.coverage,
      drawn: this.dice.drawn,
      deeds: this.#deeds.map(({ number }) => number),
      lines: this.#ledger.lines
    }
  }

  /** In a gateway at rest nothing waits for a sweep: what is said now is answered now. */
  #probe(): void {
    const machine = this.#machine
    const slack = this.#slack
    // Pauses that Slack asked for come to their end.
    machine.run(machine.now + 150_000, this.#isWrong)
    const process = this.#lives.process
    const connections = process === undefined ? 0 : slack.connectionsOf(process)
    if (connections !== this.#settings.connections) {
      return this.#violated(
        "connections are replaced and closed",
        `${connections} and not ${this.#settings.connections}`
      )
    }
    for (const [number, does] of (["direct", "mention"] as const).entries()) {
      const deed: Deed = { at: 0, number: 900 + number, does, place: 0, poison: false }
      this.#do(deed)
    }
    machine.run(machine.now + answerWithin, this.#isWrong)
    for (const tag of ["m900", "m901"]) {
      if (!this.#ledger.runs.some((run) => run.tags.includes(tag) && run.ended === "answered")) {
        return this.#violated("liveness", `${tag}, said at rest, is not answered within ${answerWithin} ms`)
      }
    }
    if (!isSettled(this.#disk)) {
      return this.#violated("liveness", `a reply at rest is not sent within ${answerWithin} ms`)
    }
    this.#judge()
  }

  #judge(): void {
    const { world } = this.#slack
    const wrong = judge({
      tables: tablesOf(this.#disk),
      ledger: this.#ledger,
      slack: [...channels, "C0GENERAL", directOf(0), directOf(1)].flatMap((channel) =>
        world.messages(channel).map(({ text, ts, user = "" }) => ({ channel, ts, text, user }))
      ),
      settings: this.#settings,
      deaths: this.#ledger.deaths,
      passed: this.#guards.passed
    })
    if (wrong !== undefined) this.#violated("at rest", wrong)
    if (this.#guards.passed.size > 0) this.#ledger.saw("reply:passed")
    const seen = {
      "message:overflow": "SELECT 1 FROM slackwater_messages WHERE state = 'failed' AND reason LIKE 'more than %'",
      "message:caught up": `SELECT 1 FROM slackwater_messages m WHERE NOT EXISTS (SELECT 1 FROM slackwater_message_keys
        WHERE message_id = m.id AND (key LIKE 'event:%' OR key LIKE 'envelope:%'))`
    }
    for (const [mark, sql] of Object.entries(seen)) if (this.#disk.rows(sql).length > 0) this.#ledger.saw(mark)
  }

  /** Nothing goes wrong any more: everything comes to its end, and so does the gateway. */
  #rest(): void {
    const machine = this.#machine
    const lives = this.#lives
    const { world } = this.#slack
    this.#ledger.note(machine.now, "calm")
    this.#calm = lives.isCalm = true
    lives.disarm()
    this.#slack.weather = calm
    this.#poison.clear()
    const since = machine.now
    const isAtRest = () =>
      lives.process !== undefined && !lives.isStopping && isSettled(this.#disk) &&
      (world.unacked.length === 0 || machine.now > since + lastRepetition)
    do {
      for (const { place } of this.#disk.rows<{ readonly place: string }>("SELECT place FROM slackwater_pauses")) {
        lives.wish({ does: "resume", place: place === "" ? null : place })
      }
      machine.run(machine.now + 5_000, this.#isWrong)
    } while (!this.#isWrong() && !isAtRest() && machine.now < since + restWithin)
    if (this.#isWrong()) return
    const isLate = !isAtRest()
    this.#judge()
    if (isLate) this.#violated("liveness", `not at rest after ${restWithin / 60_000} minutes`)
    if (this.#isWrong()) return
    this.#probe()
    if (this.#isWrong()) return
    lives.isOver = true
    lives.stop()
    machine.run(machine.now + 40_000, this.#isWrong)
    if (lives.process !== undefined) this.#violated("G7: one deadline", "an idle gateway did not stop within 40 s")
  }
}

/** Runs one seed. */
export const simulate = (seed: number, root: string, telling: Telling = {}): Outcome => {
  const history = new History(seed, root, telling)
  return isolated(history.dice.of("runtime"), () => history.run())
}
