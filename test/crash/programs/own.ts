/**
 * Wants `<directory>/1`, `<directory>/2` … each at a moment that others are told too, and keeps what it got. Says a line
 * for each: `won 1`, or `lost 1` with the reason.
 */
import { Effect } from "effect"
import { join } from "node:path"
import { acquire } from "../../../src/sql/OwnerLock.ts"

const [directory = ".", first = "0", rounds = "0"] = process.argv.slice(2)
const between = 40

const want = Effect.fnUntraced(function*(round: number) {
  const own = join(directory, String(round))
  const taken = yield* Effect.result(acquire(own, join(own, "owner.lock"), `process-${process.pid}`, Date.now()))
  process.stdout.write(taken._tag === "Success" ? `won ${round}\n` : `lost ${round} ${taken.failure.message}\n`)
})

/** Busy until then: a timer would come a little later in each process. */
const waitFor = (moment: number) =>
  Effect.gen(function*() {
    while (Date.now() < moment) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  })

// Nothing else keeps a process alive that only holds what it has won.
setInterval(() => {}, 60_000)
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  for (let round = 1; round <= Number(rounds); round++) {
    yield* waitFor(Number(first) + round * between)
    yield* Effect.forkScoped(want(round), { startImmediately: true })
  }
  return yield* Effect.never
})))
