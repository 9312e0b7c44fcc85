/**
 * The handler of the crash tests. It does what its messages say: each has a name (`m12`) that both replies repeat.
 *
 * `wait=300` is the time in ms between the two replies; `hang` never comes to an end while TEST_HANG is set; `die=150`
 * is the end of the process after that time, without a word; `busy` says so in the line under the thread.
 */
import { Effect } from "effect"
import { Handler } from "slackwater"

export default Handler.make((turn) =>
  Effect.gen(function*() {
    const names = (turn.text.match(/\bm\d+\b/g) ?? []).join(" ")
    const dies = /\bdie=(\d+)/.exec(turn.text)?.[1]
    if (dies !== undefined) {
      yield* Effect.sleep(Number(dies))
      process.kill(process.pid, "SIGKILL")
    }
    yield* turn.reply(`began ${names}`)
    if (/\bbusy\b/.test(turn.text) && turn.attempt === 1) yield* turn.status("is busy…")
    const waits = [...turn.text.matchAll(/\bwait=(\d+)/g)].map((match) => Number(match[1]))
    yield* Effect.sleep(Math.max(0, ...waits))
    if (/\bhang\b/.test(turn.text) && process.env["TEST_HANG"] !== undefined) return yield* Effect.never
    return `ended ${names}`
  })
)
