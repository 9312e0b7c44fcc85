/**
 * The lives of the gateway in one history: started, killed at a chosen point, stopped in order, started again.
 *
 * A death is `kill -9`: nothing of the process runs again, its files stay as they are at that moment, its connections
 * close. A kill is armed with a point (before a commit, behind a call, the n-th step of any fiber) and strikes when the
 * process comes there; often the next one strikes in the recovery. A stop is SIGTERM: it must end in time and leave
 * nothing behind.
 */
import { type Cause, Context, Effect, type Exit, Fiber, Queue, References } from "effect"
import type { Settings } from "../../src/GatewayConfig.ts"
import { GaveUp } from "../../src/Supervisor.ts"
import type { Dice } from "./Dice.ts"
import type { Disk } from "./Disk.ts"
import type { Ledger } from "./Ledger.ts"
import { type Machine, Process } from "./Machine.ts"
import type { Wish } from "./Operator.ts"
import type { Slack } from "./Slack.ts"

/** The one deadline of an end (ms), and what may come on top. */
const stopWithin = 25_000
const tolerance = 5_000

/** Where a kill may strike. */
const killPoints = [
  "now",
  "step",
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
  "handler",
  "step kept",
  "stopping"
] as const

interface Arm {
  readonly point: string
  left: number
}

/** What is said to a living process. */
export interface Doors {
  readonly reloads: Queue.Queue<Partial<Settings>>
  readonly wishes: Queue.Queue<Wish>
}

export interface Around {
  readonly machine: Machine
  readonly dice: Dice
  readonly disk: Disk
  readonly slack: Slack
  readonly ledger: Ledger
  readonly violated: (rule: string, detail: string) => void
  /** What a process runs. */
  readonly program: (
    process: Process,
    life: number,
    doors: Doors
  ) => Effect.Effect<unknown, unknown>
}

/** In which room a process is just now. */
export const roomNow = (): string => {
  const fiber = Fiber.getCurrent()
  const span = fiber?.cache.span
  if (fiber === undefined) return "slack"
  if (span === undefined || span._tag !== "Span") {
    return String(Context.get(fiber.context, References.CurrentLogAnnotations)["fiber"] ?? "start or stop")
  }
  let top = span
  while (top.parent._tag === "Some" && top.parent.value._tag === "Span") top = top.parent.value
  return top.name.split(".")[0] ?? top.name
}

export class Lives {
  readonly #around: Around
  process: Process | undefined
  lives = 0
  /** No kills any more. */
  isCalm = false
  /** Nobody starts again. */
  isOver = false
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #arm: Arm | undefined
  #stopping: { readonly at: number; readonly stoodStill: number } | undefined
  #startedAt = 0
  #reloadedAt = -Infinity
  #diedBefore = false
  #doors: Doors | undefined

  constructor(around: Around) {
    this.#around = around
  }

  /** Until the old rooms are closed, about. */
  get isReloading(): boolean {
    return this.#around.machine.now - this.#reloadedAt < 60_000
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  start(): void {
    if (this.process !== undefined || this.isOver) return
    const { disk, ledger, machine, program } = this.#around
    const life = ++this.lives
    const process = new Process(machine, `life-${life}`)
    this.process = process
    this.#stopping = undefined
    this.#startedAt = machine.now
    disk.process = process
    ledger.note(machine.now, `start ${life}`)
    process.beforeStep = () => this.point("step", process)
    this.#doors = undefined
    // Made by the process itself: a queue wakes its takers through the scheduler of whoever made it.
    const doors = Effect.map(
      Effect.all({ reloads: Queue.unbounded<Partial<Settings>>(), wishes: Queue.unbounded<Wish>() }),
      (made) => this.#doors = made
    )
    const fiber = process.run(Effect.flatMap(doors, (doors) => program(process, life, doors)))
    this.#fiber = fiber
    fiber.addObserver((exit) => {
      if (process.alive) this.#ended(process, exit)
    })
  }

  /** The process comes to a point at which it may die. */
  point(point: string, process: Process): void {
    if (process !== this.process || !process.alive || this.isCalm) return
    if (point === "poison") return this.die(point)
    const arm = this.#arm
    if (arm === undefined) return
    const isThere = arm.point === "stopping" ? this.isStopping : arm.point === point
    if (!isThere || --arm.left > 0) return
    this.#arm = undefined
    this.die(point)
  }

  /** The next time that it comes to a place which is drawn. */
  arm(): void {
    const stream = this.#around.dice.of("deaths")
    const point = stream.pick(killPoints)
    if (point === "now") return this.die(point)
    this.#arm = { point, left: point === "step" ? stream.skewed(1, 3_000) : stream.skewed(1, 30) }
  }

  disarm(): void {
    this.#arm = undefined
  }

  /** Nothing of it runs again; its files stay as they are. */
  die(why: string): void {
    const { process } = this
    if (process === undefined) return
    const { dice, disk, ledger, machine, slack } = this.#around
    const isEarly = this.#diedBefore && machine.now - this.#startedAt < 3_000
    ledger.deaths += 1
    ledger.saw("fault:kill")
    ledger.saw(`crash:${why}`)
    ledger.saw(`met:kill@${roomNow()}`)
    if (isEarly) ledger.saw("crash:in recovery")
    if (this.isStopping) ledger.saw("crash:while stopping")
    if (this.isReloading) ledger.saw("crash:while reloading")
    if (ledger.runs.filter(({ ended }) => ended === "running").length > 1) {
      ledger.saw("crash:several turns")
      if (why === "poison") ledger.saw("crash:poison beside others")
    }
    ledger.note(machine.now, `die ${why}`)
    for (const run of ledger.runs) if (run.ended === "running") run.ended = "died"
    process.kill()
    disk.died()
    slack.died(process)
    this.process = undefined
    this.#fiber = undefined
    this.#stopping = undefined
    this.#diedBefore = true
    this.#arm = undefined
    const stream = dice.of("deaths")
    machine.at(machine.now + stream.skewed(50, 20_000), () => {
      this.start()
      // Often right in the recovery of the last one.
      if (!this.isCalm && stream.chance(0.25) && dice.planned("kill")) this.arm()
    })
  }

  wish(wish: Wish): void {
    if (this.process === undefined || this.#doors === undefined || this.isStopping) return
    this.#around.ledger.note(this.#around.machine.now, `wish ${wish.does}`)
    Queue.offerUnsafe(this.#doors.wishes, wish)
  }

  /** SIGHUP: other settings. */
  reload(changed: Partial<Settings>): void {
    const { ledger, machine } = this.#around
    if (this.process === undefined || this.#doors === undefined || this.isStopping) return
    ledger.note(machine.now, "reload")
    if (ledger.runs.some(({ ended }) => ended === "running")) ledger.saw("reload:while a turn runs")
    this.#reloadedAt = machine.now
    Queue.offerUnsafe(this.#doors.reloads, changed)
  }

  stop(): void {
    const { process } = this
    if (this.#fiber === undefined || process === undefined || this.isStopping) return
    // Whoever stands still hears no signal.
    if (process.frozenUntil > this.#around.machine.now) {
      this.#around.machine.at(process.frozenUntil, () => this.stop(), process)
      return
    }
    const { ledger, machine } = this.#around
    ledger.stops += 1
    ledger.saw("stop")
    if (ledger.runs.some(({ ended }) => ended === "running")) ledger.saw("stop:while a turn runs")
    if (
      this.#around.disk.rows("SELECT 1 FROM slackwater_messages WHERE state = 'queued' AND due_at > ?", machine.now)
        .length > 0
    ) {
      ledger.saw("stop:in a quiet window")
    }
    if (machine.now - this.#startedAt < 100) ledger.saw("stop:in the start")
    if (this.#around.slack.inFlight > 0) ledger.saw("stop:while a call is under way")
    ledger.note(machine.now, "stop")
    this.#stopping = { at: machine.now, stoodStill: machine.stoodStill }
    this.#fiber.interruptUnsafe()
  }

  /** It has ended by itself, as told or because it gave up. */
  #ended(process: Process, exit: Exit.Exit<unknown, unknown>): void {
    const { dice, disk, ledger, machine, slack, violated } = this.#around
    const stopping = this.#stopping
    const life = this.lives
    const why = disk.anywhere(exit._tag === "Failure" ? reasonOf(exit.cause) : "ended")
    ledger.note(machine.now, `ended ${why}`)
    if (stopping === undefined) {
      ledger.saw(`gave up: ${why.slice(0, 60)}`)
      if (!/^(StoreError|DatabaseError|7[45] |70 )/.test(why)) violated("it ends for a reason", why)
    } else {
      const took = machine.now - stopping.at
      if (took > stopWithin + tolerance + machine.stoodStill - stopping.stoodStill) {
        violated("G7: one deadline", `the stop took ${took} ms`)
      }
    }
    for (const run of ledger.runs) if (run.ended === "running" && run.life === life) run.ended = "interrupted"
    this.process = undefined
    this.#fiber = undefined
    this.#stopping = undefined
    this.#diedBefore = false
    // Whoever was cut off by the deadline gets its last turn, and then there must be nothing.
    machine.at(machine.now + 3_000, () => {
      const connections = slack.connectionsOf(process)
      if (this.isCalm && (process.sleeping > 0 || !process.idle || connections > 0)) {
        violated("nothing is left after a stop", `${process.sleeping} fibers sleep, ${connections} connections`)
      }
      process.kill()
      slack.died(process)
      disk.ended()
      machine.at(machine.now + dice.of("deaths").skewed(0, 20_000), () => this.start())
    })
  }
}

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const [reason] = cause.reasons
  if (reason === undefined) return "nothing"
  if (reason._tag === "Interrupt") return "interrupted"
  const error: unknown = reason._tag === "Fail" ? reason.error : reason.defect
  return error instanceof GaveUp
    ? `${error.exitCode} ${error.detail}`
    : error instanceof Error
    ? `${error.name}: ${error.message}`
    : String(error)
}
