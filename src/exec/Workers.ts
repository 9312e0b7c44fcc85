/**
 * Children that are kept: each answers one turn at a time and then waits for the next.
 *
 * Guarantees: a turn never shares its child; one that dies, breaks the protocol or is interrupted in the middle of a turn
 * fails that turn's run only, and a new one takes its place, after a growing pause while they die one after the other.
 * A child that says something, or ends, between turns is replaced too.
 * Does not: start one before there is a turn for it.
 * On shutdown: with the scope they were made in, all are gone.
 */
import { Duration, Effect, Exit, Fiber, Option, Scope, Semaphore } from "effect"
import type { Child } from "./Child.ts"
import { ExecFailed, refuse } from "./Protocol.ts"

const firstPause = 100
const longestPause = 30_000

interface Worker {
  readonly child: Child
  readonly scope: Scope.Closeable
  /** Waits for what must not come between turns. */
  watch: Fiber.Fiber<void> | undefined
  isDead: boolean
}

export const makeWorkers = Effect.fnUntraced(function*<R>(
  most: number,
  start: Effect.Effect<Child, ExecFailed, R | Scope.Scope>
) {
  const whole = yield* Effect.scope
  const slots = yield* Semaphore.make(most)
  const idle: Array<Worker> = []
  /** That died one after the other, with no turn between them that ended well. */
  let deaths = 0

  const discard = (worker: Worker) =>
    Effect.suspend(() => {
      worker.isDead = true
      const at = idle.indexOf(worker)
      if (at !== -1) idle.splice(at, 1)
      return Scope.close(worker.scope, Exit.void)
    })

  const watch = (worker: Worker) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(worker.child.next)), (next) => {
        const error = Exit.isSuccess(next)
          ? Option.some(refuse(next.value, "comes between turns"))
          : Exit.findErrorOption(next)
        if (Option.isNone(error)) return Effect.void
        deaths += 1
        return Effect.andThen(Effect.logWarning("a worker is replaced", error.value), discard(worker))
      })
    )

  /** Runs where nothing interrupts but what `restore` lets be interrupted: then no worker is forgotten in between. */
  const startOne = Effect.fnUntraced(
    function*(restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) {
      if (deaths > 0) {
        const pause = Math.min(longestPause, firstPause * 2 ** (deaths - 1))
        yield* Effect.logInfo("a worker is started again after a pause").pipe(Effect.annotateLogs({ delayMs: pause }))
        yield* restore(Effect.sleep(Duration.millis(pause)))
      }
      const scope = yield* Scope.fork(whole)
      const child = yield* restore(start).pipe(
        Scope.provide(scope),
        Effect.onExit((exit) => {
          if (Exit.isSuccess(exit)) return Effect.void
          deaths += 1
          return Scope.close(scope, exit)
        })
      )
      const worker: Worker = { child, scope, watch: undefined, isDead: false }
      return worker
    }
  )

  /** One that waits and lives, or a new one. */
  const take = Effect.fnUntraced(function*(restore: Parameters<typeof startOne>[0]) {
    while (true) {
      const worker = idle.pop()
      if (worker === undefined) return yield* startOne(restore)
      if (worker.watch !== undefined) yield* Fiber.interrupt(worker.watch)
      if (!worker.isDead) return worker
    }
  })

  const giveBack = Effect.fnUntraced(function*(worker: Worker) {
    idle.push(worker)
    worker.watch = yield* Effect.forkIn(watch(worker), worker.scope, { startImmediately: true })
  })

  return <A, E, R>(use: (child: Child) => Effect.Effect<A, E, R>) =>
    slots.withPermit(
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(take(restore), (worker) =>
          Effect.onExit(restore(use(worker.child)), (exit) => {
            const error = Option.getOrUndefined(Exit.findErrorOption(exit))
            if (Exit.isSuccess(exit) || (error instanceof ExecFailed && error.saidSo)) {
              deaths = 0
              return giveBack(worker)
            }
            if (error instanceof ExecFailed) deaths += 1
            return discard(worker)
          }))
      )
    )
})
