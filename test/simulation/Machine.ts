/**
 * The machine that a history runs on: its time, what is due when, and the processes on it.
 *
 * Nothing here waits. Virtual time stands still while anything can run and then jumps to what is due next. A process is
 * one incarnation of the gateway, with a Scheduler, a Clock and a Random of its own: the seed says which of its ready
 * fibers goes on, and where a fiber yields. `kill` ends one as `kill -9` does: nothing of it runs again, no finalizer
 * either. `freeze` lets a process stand still while the world goes on.
 * Does not: know Slack, a database or a gateway.
 */
import { Clock, Context, Duration, Effect, type Fiber, Random, Scheduler } from "effect"
import type { Dice, Stream } from "./Dice.ts"

/** Thrown by whatever a killed process touches. */
export class Killed extends Error {}

interface Due {
  readonly at: number
  /** Among those that are due at the same moment. */
  readonly tie: number
  readonly seq: number
  readonly run: () => void
  readonly process: Process | undefined
  cancelled: boolean
}

const isBefore = (a: Due, b: Due) => a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.seq < b.seq

/** Real time without an end of a loop in which no virtual time passes is a livelock. */
const mostStepsAtOnce = 2_000_000

export class Machine {
  now: number
  /** Tasks that were run. */
  steps = 0
  /** How far the machine's wall clock is from the true time (ms); timers do not notice. */
  wrongBy = 0
  /** Time in which its process could not run (ms). */
  stoodStill = 0
  readonly #heap: Array<Due> = []
  #seq = 0
  readonly processes = new Set<Process>()
  readonly dice: Dice
  #stepsAtOnce = 0

  constructor(dice: Dice, now: number) {
    this.dice = dice
    this.now = now
  }

  /** Runs something at a moment; answers how to call it off. Of a process: while it lives, and not while it is frozen. */
  at(moment: number, run: () => void, process?: Process, tie = 0): () => void {
    const due: Due = { at: Math.max(this.now, moment), tie, seq: ++this.#seq, run, process, cancelled: false }
    const heap = this.#heap
    let index = heap.push(due) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(due, heap[parent] as Due)) break
      heap[index] = heap[parent] as Due
      index = parent
    }
    heap[index] = due
    return () => {
      due.cancelled = true
    }
  }

  #pop(): Due | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Due, heap[child] as Due)) child += 1
      if (!isBefore(heap[child] as Due, last)) break
      heap[index] = heap[child] as Due
      index = child
    }
    heap[index] = last
    return first
  }

  /** Time that passes while nothing can run, as in a call that blocks. */
  stall(ms: number): void {
    this.now += ms
    this.stoodStill += ms
  }

  /** Goes on until that moment, or until `enough`. */
  run(until: number, enough: () => boolean = () => false): void {
    while (!enough()) {
      let ran = false
      for (const process of this.processes) {
        if (!process.step()) continue
        ran = true
        this.steps += 1
        if (++this.#stepsAtOnce > mostStepsAtOnce) throw new Error("no virtual time passes any more: a livelock")
        break
      }
      if (ran) continue
      const [next] = this.#heap
      if (next === undefined || next.at > until) {
        this.now = Math.max(this.now, until)
        return
      }
      this.#pop()
      if (next.cancelled || next.process?.alive === false) continue
      if (next.process !== undefined && next.process.frozenUntil > next.at) {
        this.at(next.process.frozenUntil, next.run, next.process, next.tie)
        continue
      }
      if (next.at > this.now) this.#stepsAtOnce = 0
      this.now = Math.max(this.now, next.at)
      next.run()
    }
  }
}

/** The ready tasks of one fiber. */
interface Lane {
  readonly tasks: Array<() => void>
  rank: number
}

/** How the ready fibers take turns. */
const orders = ["ranks", "ranks", "any", "first"] as const
/** How likely a fiber yields at an operation. */
const yields = [0, 0.003, 0.02, 0.1]
/** How likely the ranks are given out anew. */
const changes = 0.02

export class Process {
  readonly name: string
  readonly machine: Machine
  alive = true
  frozenUntil = 0
  /** Tasks that it ran. */
  steps = 0
  /** Fibers of it that sleep. */
  sleeping = 0
  /** Called before each task; may kill. */
  beforeStep: (() => void) | undefined
  readonly #ready: Array<Lane> = []
  readonly #dice: Stream
  readonly #order: (typeof orders)[number]
  readonly #yields: number

  constructor(machine: Machine, name: string) {
    this.machine = machine
    this.name = name
    this.#dice = machine.dice.of(`scheduler ${name}`)
    this.#order = this.#dice.pick(orders)
    this.#yields = this.#dice.pick(yields)
    machine.processes.add(this)
  }

  /** Refuses to do anything outward for a process that is dead. */
  guard(): void {
    if (!this.alive) throw new Killed()
  }

  kill(): void {
    this.alive = false
    this.#ready.length = 0
    this.machine.processes.delete(this)
  }

  freeze(ms: number): void {
    this.frozenUntil = this.machine.now + ms
    this.machine.stoodStill += ms
  }

  later(ms: number, run: () => void): () => void {
    return this.machine.at(this.machine.now + ms, run, this)
  }

  get idle(): boolean {
    return this.#ready.length === 0
  }

  /** Runs one task; false where there is none that may run. */
  step(): boolean {
    const ready = this.#ready
    if (ready.length === 0 || this.frozenUntil > this.machine.now) return false
    this.beforeStep?.()
    if (!this.alive) return true
    const index = this.#choose()
    const lane = ready[index] as Lane
    const task = lane.tasks.shift()
    if (lane.tasks.length === 0) ready.splice(index, 1)
    this.steps += 1
    task?.()
    return true
  }

  #choose(): number {
    const ready = this.#ready
    if (ready.length === 1 || this.#order === "first") return 0
    if (this.#order === "any") return this.#dice.between(0, ready.length - 1)
    if (this.#dice.chance(changes)) { for (const lane of ready) lane.rank = this.#dice.next() }
    let best = 0
    for (let index = 1; index < ready.length; index++) {
      if ((ready[index] as Lane).rank > (ready[best] as Lane).rank) best = index
    }
    return best
  }

  readonly scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: () => !this.alive || (this.#yields > 0 && this.#dice.next() < this.#yields),
    makeDispatcher: () => {
      const lane: Lane = { tasks: [], rank: this.#order === "ranks" ? this.#dice.next() : 0 }
      return {
        scheduleTask: (task) => {
          if (!this.alive) return
          if (lane.tasks.push(task) === 1) this.#ready.push(lane)
        },
        flush: () => {}
      }
    }
  }

  /** Timers of a process are whole milliseconds, never early, and now and then a little late. */
  #clock(): Clock.Clock {
    const { machine } = this
    const wall = () => machine.now + machine.wrongBy
    const nanos = () => BigInt(machine.now) * 1_000_000n
    return {
      currentTimeMillisUnsafe: wall,
      currentTimeMillis: Effect.sync(wall),
      currentTimeNanosUnsafe: () => BigInt(wall()) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(wall()) * 1_000_000n),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback<void>((resume) => {
          const ms = Duration.toMillis(duration)
          // Longer than any timer of Node.
          if (ms > 2_147_483_647) return
          const lag = this.#dice.chance(0.1) ? this.#dice.skewed(1, 20) : 0
          const wake = () => {
            this.sleeping -= 1
            resume(Effect.void)
          }
          this.sleeping += 1
          const cancel = machine.at(machine.now + Math.max(1, Math.trunc(ms)) + lag, wake, this, this.#dice.next())
          return Effect.sync(() => {
            this.sleeping -= 1
            cancel()
          })
        })
    }
  }

  /** Starts a program in it. */
  run<A, E>(program: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    const context = Context.make(Scheduler.Scheduler, this.scheduler).pipe(
      Context.add(Clock.Clock, this.#clock()),
      Context.add(Random.Random, {
        nextDoubleUnsafe: () => this.#dice.next(),
        nextIntUnsafe: () => Math.floor((this.#dice.next() - 0.5) * Number.MAX_SAFE_INTEGER)
      })
    )
    return Effect.runForkWith(context)(program)
  }
}
