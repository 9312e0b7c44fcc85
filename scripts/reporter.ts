/**
 * Ends a test run with the time each suite (file) took, slowest first, and one plain line that says how many tests
 * passed. The line stands alone and uncoloured, so that a machine can read it:
 *
 *     412 passed, 0 failed, 3 skipped
 *
 * A file that could not be loaded, a hook that failed and an error nobody caught count as failed.
 */
import type { Reporter, SerializedError, TestModule } from "vitest/node"

interface Count {
  passed: number
  failed: number
  skipped: number
}

const countOf = (module: TestModule): Count => {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const test of module.children.allTests()) {
    const { state } = test.result()
    count[state === "pending" ? "failed" : state] += 1
  }
  // The file's own errors, and hooks of its groups: no single test stands for them.
  if (count.failed === 0 && module.state() === "failed") count.failed = 1
  return count
}

const secondsOf = (module: TestModule): number => {
  const spent = module.diagnostic()
  return (spent.duration + spent.collectDuration + spent.prepareDuration + spent.setupDuration) / 1000
}

export default class SuiteTimes implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<SerializedError>): void {
    const total = { passed: 0, failed: unhandled.length, skipped: 0 }
    const rows = modules
      .map((module) => ({ name: module.relativeModuleId, seconds: secondsOf(module), count: countOf(module) }))
      .toSorted((a, b) => b.seconds - a.seconds)
    const lines = rows.map(({ name, seconds, count }) => {
      total.passed += count.passed
      total.failed += count.failed
      total.skipped += count.skipped
      return `${seconds.toFixed(2).padStart(8)} s  ${String(count.passed + count.failed).padStart(4)} run  ${name}`
    })
    const skipped = total.skipped === 0 ? "" : `, ${total.skipped} skipped`
    console.log(`\nTime per suite\n${lines.join("\n")}\n\n${total.passed} passed, ${total.failed} failed${skipped}`)
  }
}
