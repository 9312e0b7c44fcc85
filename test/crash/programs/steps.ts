/**
 * A handler of ten steps. Each writes a line into the file that TEST_LEDGER names before it is done; in the first run the
 * seventh never comes to its end.
 */
import { Effect } from "effect"
import { appendFileSync } from "node:fs"
import { Handler } from "slackwater"

const ledger = process.env["TEST_LEDGER"] ?? ""

export default Handler.make((turn) =>
  Effect.gen(function*() {
    const results: Array<number> = []
    for (let n = 1; n <= 10; n++) {
      const work = Effect.sync(() => {
        appendFileSync(ledger, `${n}\n`)
        return n * n
      })
      const isCutOff = n === 7 && turn.attempt === 1
      results.push(yield* turn.step(`step ${n}`, isCutOff ? Effect.andThen(work, Effect.never) : work))
    }
    return `squares: ${results.join(" ")}`
  })
)
