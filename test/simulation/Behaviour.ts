/**
 * The handler of a history: what a turn says depends on its messages alone, so that a re-run says it again; how a run
 * ends depends on the weather.
 */
import { Effect, Stream } from "effect"
import type { Turn } from "../../src/Handler.ts"
import { Handler } from "../../src/Handler.ts"
import type { Dice } from "./Dice.ts"
import type { Ledger, Run } from "./Ledger.ts"
import type { Machine, Process } from "./Machine.ts"
import type { Weather } from "./Weather.ts"

export interface Stage {
  readonly machine: Machine
  readonly dice: Dice
  readonly ledger: Ledger
  readonly life: number
  readonly process: Process
  readonly weather: () => Weather
  readonly violated: (rule: string, detail: string) => void
  readonly point: (point: string) => void
  readonly isPoison: (tag: string) => boolean
  readonly isStopping: () => boolean
  /** Rooms may be closing that others have replaced. */
  readonly isReloading: () => boolean
  /** What runs this long is cut off (ms). */
  readonly handlerTimeout: number
}

/** What a message is known by. */
export const tagIn = (text: string) => /\bm\d+\b/.exec(text)?.[0] ?? text.slice(0, 20)

export const handlerOf = (stage: Stage) => {
  const running = new Map<string, Run>()
  const { dice, ledger, machine, process } = stage

  const begin = (turn: Turn): Run => {
    process.guard()
    const tags = turn.messages.map(({ text }) => tagIn(text))
    const times = turn.messages.map(({ ts }) => Number(ts))
    if (times.some((time, index) => time < (times[index - 1] ?? 0))) {
      stage.violated("G4: in Slack's order", `${turn.id} was given ${tags.join(" ")}`)
    }
    const run: Run = {
      turn: turn.id,
      attempt: turn.attempt,
      conversation: turn.conversation,
      tags,
      life: stage.life,
      deaths: ledger.deaths,
      troubles: ledger.troubles,
      begunAt: machine.now,
      ended: "running",
      said: [],
      finals: []
    }
    const other = running.get(turn.conversation)
    if (other !== undefined) {
      stage.violated("one turn at a time", `${turn.conversation}: ${other.turn} runs while ${turn.id} begins`)
    }
    running.set(turn.conversation, run)
    ledger.runs.push(run)
    ledger.note(machine.now, `run ${turn.id} ${turn.attempt} ${tags.join(" ")}`)
    return run
  }

  const end = (run: Run, how: Run["ended"]) => {
    if (!process.alive) return
    run.ended = how
    run.troublesThen = ledger.troubles
    if (running.get(run.conversation) === run) running.delete(run.conversation)
    ledger.note(machine.now, `end ${run.turn} ${run.attempt} ${how}`)
  }

  const play = Effect.fnUntraced(function*(turn: Turn, run: Run) {
    const about = run.tags.join("+")
    /** The same in every run. */
    const part = dice.once(`part ${about}`)
    const luck = dice.once(`luck ${about} ${turn.attempt} ${machine.now}`)
    const weather = stage.weather()
    const happens = (kind: "fail" | "hang" | "defect" | "slow") => {
      const does = luck.chance(weather[kind]) && dice.planned(kind)
      if (does) ledger.saw(`fault:${kind}`)
      return does
    }
    const say = (text: string) =>
      Effect.map(turn.reply(text), (handle) => {
        if (process.alive) run.said.push(text)
        return handle
      })
    const acts = part.between(0, 4)
    const failsAt = happens("fail") ? luck.between(0, acts) : -1
    const breaksAt = happens("defect") ? luck.between(0, acts) : -1
    const hangsAt = happens("hang") ? luck.between(0, acts) : -1
    const isSlow = happens("slow")
    if (run.tags.some(stage.isPoison)) {
      yield* Effect.sleep(luck.between(0, 200))
      stage.point("poison")
    }
    for (let act = 0; act <= acts; act++) {
      stage.point("handler")
      if (act === failsAt) return yield* Effect.fail(`fails at ${act}`)
      if (act === breaksAt) return yield* Effect.die(new Error(`breaks at ${act}`))
      if (act === hangsAt) return yield* Effect.never
      if (act === acts) break
      const sort = part.next()
      if (sort < 0.35) yield* Effect.sleep(isSlow ? luck.between(500, 20_000) : luck.between(0, 300))
      else if (sort < 0.42) {
        // In mode steer: whoever comes within this time joins the turn.
        yield* turn.followups.pipe(
          Stream.runForEach(({ text }) =>
            Effect.sync(() => {
              run.tags.push(tagIn(text))
              ledger.saw("message:adopted")
            })
          ),
          Effect.timeoutOption(luck.between(0, 4_000))
        )
      } else if (sort < 0.65) yield* say(`a${act}:${about}`)
      else if (sort < 0.8) {
        const name = `s${act}`
        yield* turn.step(
          name,
          Effect.gen(function*() {
            if (ledger.steps.has(`${turn.id}/${name}`)) {
              stage.violated("a finished step runs once", `${turn.id}: ${name} runs again`)
            }
            yield* Effect.sleep(luck.between(0, 500))
            return luck.between(0, 1_000)
          })
        )
        if (process.alive) ledger.steps.add(`${turn.id}/${name}`)
        stage.point("step kept")
      } else if (sort < 0.9) {
        const handle = yield* say(`u${act}:${about}`)
        if (luck.chance(0.5)) yield* Effect.sleep(luck.between(0, 2_000))
        yield* turn.update(handle, `U${act}:${about}`)
      } else if (sort < 0.94) yield* turn.react("eyes")
      else if (sort < 0.97) {
        const handle = yield* say(`w${act}:${about}`)
        yield* Effect.timeoutOption(Effect.ignore(handle.delivered), luck.between(100, 10_000))
      } else yield* turn.state.set({ about })
    }
    const finals = Array.from({ length: part.between(0, 2) }, (_, n) => `f${n}:${about}`)
    run.finals = finals
    return finals
  })

  return Handler.make((turn) =>
    Effect.suspend(() => {
      const run = begin(turn)
      return play(turn, run).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() =>
            end(
              run,
              exit._tag === "Success"
                ? "answered"
                : !exit.cause.reasons.every((reason) => reason._tag === "Interrupt")
                ? "failed"
                : stage.isReloading() || (stage.isStopping() && machine.now - run.begunAt >= stage.handlerTimeout)
                ? "either"
                : stage.isStopping()
                ? "interrupted"
                : "cut off"
            )
          )
        )
      )
    })
  )
}
