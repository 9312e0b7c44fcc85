/** `docs/operating.md` against the code: its time limits agree with our deadline, and no alarm or exit code is missing. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { globSync, readFileSync } from "node:fs"
import { GatewayConfig } from "../../src/GatewayConfig.ts"
import { freshFor } from "../../src/heartbeatFile.ts"

const page = readFileSync("docs/operating.md", "utf8")
const sources = globSync("src/**/*.ts").map((path) => ({ path, source: readFileSync(path, "utf8") }))

const defaults = GatewayConfig.read({ appToken: Redacted.make("xapp-1"), botToken: Redacted.make("xoxb-1") }).pipe(
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
)

/** The number behind a name in the page's examples, in seconds; every one of them. */
const numbers = (pattern: RegExp): ReadonlyArray<number> => {
  const found = [...page.matchAll(new RegExp(pattern, "gm"))].map((match) => Number(match[1]))
  assert.isNotEmpty(found, `the page has no ${String(pattern)}`)
  return found
}
const number = (pattern: RegExp) => numbers(pattern)[0] ?? 0

/** What the process needs at most, from the signal to its end by itself (s). */
const longest = Effect.map(defaults, ({ shutdownTimeout }) => {
  const grace = /^const grace = ([\d_]+)$/m.exec(readFileSync("src/bin.ts", "utf8"))?.[1]
  assert.isDefined(grace)
  return (Duration.toMillis(shutdownTimeout) + Number(grace?.replaceAll("_", ""))) / 1_000
})

describe("docs/operating.md", () => {
  const patient: ReadonlyArray<readonly [who: string, pattern: RegExp]> = [
    ["systemd", /^TimeoutStopSec=(\d+)$/],
    ["systemd's watchdog, whose last sign of life is the stop", /^WatchdogSec=(\d+)$/],
    ["launchd", /<key>ExitTimeOut<\/key><integer>(\d+)<\/integer>/],
    ["Docker Compose", /stop_grace_period: (\d+)s$/],
    ["docker stop", /docker stop -t (\d+)/],
    ["Kubernetes", /terminationGracePeriodSeconds: (\d+)$/]
  ]
  for (const [who, pattern] of patient) {
    it.effect(`${who} waits longer than the deadline and the timer behind it`, () =>
      Effect.map(longest, (least) => {
        for (const seconds of numbers(pattern)) assert.isAbove(seconds, least)
      }))
  }

  it("the health checks of Docker and Kubernetes have time to start, and do not act on one miss", () => {
    const fresh = Duration.toSeconds(freshFor)
    for (const seconds of numbers(/(?:--timeout=|command: .*healthcheck[\s\S]*?timeoutSeconds: )(\d+)/)) {
      assert.isAtLeast(seconds, 5)
    }
    assert.isAtLeast(number(/--interval=(\d+)s/) * number(/--retries=(\d+)/), fresh)
    assert.isAtLeast(number(/periodSeconds: (\d+)/) * number(/failureThreshold: (\d+)/), fresh)
    // Half of it is how often we speak, and that must not be more often than there is something to say.
    assert.isAtLeast(number(/^WatchdogSec=(\d+)$/) / 2, 5)
  })

  it.effect("names the defaults as they are", () =>
    Effect.map(defaults, ({ shutdownTimeout, watchdogMaxAttempts, watchdogThreshold }) => {
      assert.include(page, `\`SLACKWATER_SHUTDOWN_TIMEOUT\` (${Duration.toSeconds(shutdownTimeout)} seconds)`)
      assert.include(page, `\`SLACKWATER_WATCHDOG_THRESHOLD\` (${Duration.toSeconds(watchdogThreshold)} seconds)`)
      assert.include(page, `\`SLACKWATER_WATCHDOG_MAX_ATTEMPTS\` (${watchdogMaxAttempts})`)
      for (const age of numbers(/older than (\d+) s/)) assert.strictEqual(age, Duration.toSeconds(freshFor))
    }))

  /** Codes given as they are, or as a constant of the same file. */
  const raised = sources.flatMap(({ source }) =>
    [...source.matchAll(/\braise\(\s*(?:"([^"]+)"|(\w+),)/g)].flatMap(([, literal, constant]) => {
      const code = literal ?? new RegExp(`^const ${constant} = "([^"]+)"$`, "m").exec(source)?.[1]
      return code === undefined ? [] : [code]
    })
  )

  it("finds the alarms of the code", () => {
    for (const code of ["slack-connection", "database:host", "event-loop"]) assert.include(raised, code)
  })

  for (const code of new Set(raised)) {
    it(`says what the alarm ${code} means and what to do`, () => {
      assert.match(page, new RegExp(`^\\| \`${code}\` \\| [^|]{10,} \\| [^|]{8,} \\|$`, "m"))
    })
  }

  const codes = sources.flatMap(({ source }) =>
    [...source.matchAll(/(?:errorExitCode\] = |exitCode: |process\.exit\()(?:[^;,)]*\? )?(\d+)(?: : (\d+))?/g)].flatMap(
      (
        [, one, other]
      ) => other === undefined ? [Number(one)] : [Number(one), Number(other)]
    )
  )

  it("has every exit code of the code", () => {
    assert.includeMembers(codes, [64, 70, 71, 73, 74, 75, 78])
    for (const code of new Set(codes)) {
      assert.match(page, new RegExp(`^\\| ${code} \\|( [^|]{5,} \\|){4}$`, "m"), `exit code ${code}`)
    }
  })

  it("reloads with a signal that the process takes for one", () => {
    const name = /^ExecReload=\/bin\/kill -(\w+) \$MAINPID$/m.exec(page)?.[1]
    assert.include(readFileSync("src/bin.ts", "utf8"), `process.on("SIG${name}", reloading.request)`)
  })

  it("restarts after every exit code but those that only a person can change", () => {
    const kept = /^RestartPreventExitStatus=(.+)$/m.exec(page)?.[1]?.split(" ")
    assert.deepStrictEqual(kept, ["64", "78"])
    for (const code of kept ?? []) assert.match(page, new RegExp(`^\\| ${code} \\|[^|]+\\| leaves it`, "m"))
  })
})
