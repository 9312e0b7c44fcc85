/** Settings: defaults, checks, and sentences that name the variable and never its value. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { GatewayConfig, knobs, type Settings } from "../src/GatewayConfig.ts"

const tokens = { SLACK_APP_TOKEN: "xapp-1-A", SLACK_BOT_TOKEN: "xoxb-1" }

const read = (env: Record<string, string>, given: Partial<Settings> = {}) =>
  GatewayConfig.read(given).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({ ...tokens, ...env }))
  )

describe("GatewayConfig", () => {
  it.effect("has a default for everything but the tokens", () =>
    Effect.gen(function*() {
      const { appToken, botToken, ...settings } = yield* read({})
      assert.strictEqual(Redacted.value(appToken), "xapp-1-A")
      assert.strictEqual(Redacted.value(botToken), "xoxb-1")
      assert.deepStrictEqual(settings, {
        slackApiUrl: "https://slack.com/api/",
        dataDir: "./slackwater-data",
        host: "127.0.0.1",
        port: 8787,
        adminToken: null,
        allowedHosts: [],
        debounce: Duration.millis(500),
        concurrency: 16,
        mode: "collect",
        maxWaiting: 1_000,
        allowTeams: [],
        allowChannels: [],
        allowUsers: [],
        retention: Duration.days(30),
        retentionCount: 1_000_000,
        keyHorizon: Duration.days(7),
        handlerTimeout: Duration.minutes(15),
        maxAttempts: 3,
        maxCrashes: 2,
        failureNotice: "Sorry, I could not answer this. Please try again, or ask whoever runs me.",
        resumeNote: null,
        retryDelay: Duration.seconds(5),
        outboxTtl: Duration.hours(24),
        outboxMaxAttempts: 10,
        paceInterval: Duration.seconds(1),
        paceBurst: 4,
        maxUpload: 100_000_000,
        requestTimeout: Duration.seconds(10),
        reconcileWindow: Duration.seconds(30),
        historyLag: Duration.seconds(10),
        unknownPolicy: "hold",
        catchUp: Duration.seconds(2),
        catchUpAge: Duration.hours(12),
        catchUpCalls: 500,
        shutdownTimeout: Duration.seconds(25),
        connections: 1,
        watchdogThreshold: Duration.seconds(60),
        watchdogMaxAttempts: 10
      })
    }))

  it.effect("reads every setting from its variable", () =>
    Effect.gen(function*() {
      const settings = yield* read({
        SLACK_API_URL: "http://127.0.0.1:1/api/",
        SLACKWATER_DATA_DIR: "/data",
        SLACKWATER_PORT: "0",
        SLACKWATER_DEBOUNCE: "0 millis",
        SLACKWATER_CONCURRENCY: "3",
        SLACKWATER_OUTBOX_TTL: "2 hours",
        SLACKWATER_MAX_CRASHES: "0",
        SLACKWATER_WATCHDOG_MAX_ATTEMPTS: "2"
      })
      assert.deepInclude(settings, {
        slackApiUrl: "http://127.0.0.1:1/api/",
        dataDir: "/data",
        port: 0,
        concurrency: 3
      })
      assert.deepInclude(settings, { debounce: Duration.zero, outboxTtl: Duration.hours(2), maxCrashes: 0 })
      assert.strictEqual(settings.watchdogMaxAttempts, 2)
    }))

  it.effect("takes `off` for the outbox's time to live and for the number of finished rows", () =>
    Effect.map(
      read({ SLACKWATER_OUTBOX_TTL: "off", SLACKWATER_RETENTION_COUNT: "off" }),
      ({ outboxTtl, retentionCount }) => assert.deepStrictEqual([outboxTtl, retentionCount], [null, null])
    ))

  it.effect("takes `off` for what people are told, or a sentence", () =>
    Effect.gen(function*() {
      const off = yield* read({ SLACKWATER_FAILURE_NOTICE: "off", SLACKWATER_RESUME_NOTE: "off" })
      assert.deepStrictEqual([off.failureNotice, off.resumeNote], [null, null])
      const said = yield* read({ SLACKWATER_FAILURE_NOTICE: "no luck", SLACKWATER_RESUME_NOTE: "back again" })
      assert.deepStrictEqual([said.failureNotice, said.resumeNote], ["no luck", "back again"])
      assert.isNull((yield* read({}, { failureNotice: null })).failureNotice)
    }))

  it.effect("wants a reconcile window that outlasts a request and the history's lag", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read({ SLACKWATER_RECONCILE_WINDOW: "20 seconds" }))
      assert.strictEqual(error.setting, "SLACKWATER_RECONCILE_WINDOW")
      assert.include(error.message, "SLACKWATER_REQUEST_TIMEOUT and SLACKWATER_HISTORY_LAG")
      yield* read({ SLACKWATER_RECONCILE_WINDOW: "20 seconds", SLACKWATER_HISTORY_LAG: "9 seconds" })
    }))

  it.effect("wants an age for catching up in which repetitions are recognised", () =>
    Effect.gen(function*() {
      const given = { SLACKWATER_CATCH_UP_AGE: "2 days", SLACKWATER_KEY_HORIZON: "2 days" }
      const error = yield* Effect.flip(read(given))
      assert.strictEqual(error.message, "SLACKWATER_CATCH_UP_AGE must be shorter than SLACKWATER_KEY_HORIZON")
      const { catchUp } = yield* read({ ...given, SLACKWATER_KEY_HORIZON: "49 hours", SLACKWATER_CATCH_UP: "off" })
      assert.isNull(catchUp)
    }))

  it.effect("takes `resend` for what nobody can find out, and no other word", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* read({ SLACKWATER_UNKNOWN_POLICY: "resend" })).unknownPolicy, "resend")
      assert.include((yield* Effect.flip(read({ SLACKWATER_UNKNOWN_POLICY: "maybe" }))).message, "hold, resend")
    }))

  const bad: ReadonlyArray<readonly [variable: string, value: string]> = [
    ["SLACK_APP_TOKEN", "xoxb-s3cret"],
    ["SLACK_APP_TOKEN", "xapp-"],
    ["SLACK_APP_TOKEN", "xapp-s3 cret"],
    ["SLACK_BOT_TOKEN", "xapp-s3cret"],
    ["SLACK_BOT_TOKEN", "xoxp-s3cret"],
    ["SLACK_API_URL", "s3cret"],
    ["SLACK_API_URL", "file:///s3cret"],
    ["SLACKWATER_DATA_DIR", "   "],
    ["SLACKWATER_PORT", "65536"],
    ["SLACKWATER_PORT", "-1"],
    ["SLACKWATER_PORT", "s3cret"],
    ["SLACKWATER_DEBOUNCE", "s3cret"],
    ["SLACKWATER_DEBOUNCE", "-1 seconds"],
    ["SLACKWATER_CONCURRENCY", "0"],
    ["SLACKWATER_CONCURRENCY", "1.5"],
    ["SLACKWATER_HANDLER_TIMEOUT", "0 seconds"],
    ["SLACKWATER_HANDLER_TIMEOUT", "Infinity"],
    ["SLACKWATER_MAX_ATTEMPTS", "s3cret"],
    ["SLACKWATER_WATCHDOG_MAX_ATTEMPTS", "0"],
    ["SLACKWATER_OUTBOX_TTL", "s3cret"],
    ["SLACKWATER_OUTBOX_TTL", "0 seconds"],
    ["SLACKWATER_FAILURE_NOTICE", "  "],
    ["SLACKWATER_RESUME_NOTE", " "],
    ["SLACKWATER_SHUTDOWN_TIMEOUT", "s3cret"],
    ...["0", "5", "1.5", "s3cret"].map((value) => ["SLACKWATER_CONNECTIONS", value] as const),
    // What decides what is deleted: nothing that is not plainly a span of time, or a number.
    ...["SLACKWATER_RETENTION", "SLACKWATER_KEY_HORIZON", "SLACKWATER_RETENTION_COUNT"].flatMap((variable) =>
      ["NaN", "Infinity", "-Infinity", "0", "-1", "abc", " ", "1e999"].map((value) => [variable, value] as const)
    ),
    ...["SLACKWATER_RETENTION", "SLACKWATER_KEY_HORIZON"].flatMap((variable) =>
      ["NaN days", "Infinity days", "0 days", "-30 days", "off", "30"].map((value) => [variable, value] as const)
    ),
    ["SLACKWATER_KEY_HORIZON", "23 hours"],
    ["SLACKWATER_RETENTION_COUNT", "1.5"],
    ["SLACKWATER_RETENTION_COUNT", "1000 rows"]
  ]
  for (const [variable, value] of bad) {
    it.effect(`refuses ${JSON.stringify(value)} for ${variable}, by name`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(read({ [variable]: value }))
        assert.strictEqual(error._tag, "GatewayConfigError")
        assert.isTrue(error.message.startsWith(`${variable} must `), error.message)
        assert.notInclude(JSON.stringify(error) + error.message, "s3cret")
      }))
  }

  for (const variable of ["SLACK_APP_TOKEN", "SLACK_BOT_TOKEN"] as const) {
    it.effect(`says where ${variable} comes from when it is missing`, () =>
      Effect.gen(function*() {
        const { [variable]: _, ...rest } = tokens
        const error = yield* Effect.flip(
          Effect.provideService(GatewayConfig.read(), ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(rest))
        )
        assert.match(error.message, new RegExp(`^${variable} must be set to a token that begins with x\\w+-`))
      }))
  }

  it.effect("checks what the host gives as it checks the environment", () =>
    Effect.gen(function*() {
      const overrides: ReadonlyArray<readonly [Partial<Settings>, string]> = [
        [{ concurrency: 0 }, "SLACKWATER_CONCURRENCY"],
        [{ port: 1.5 }, "SLACKWATER_PORT"],
        [{ appToken: Redacted.make("xoxb-wrong") }, "SLACK_APP_TOKEN"],
        [{ handlerTimeout: Duration.infinity }, "SLACKWATER_HANDLER_TIMEOUT"],
        [{ outboxTtl: Duration.zero }, "SLACKWATER_OUTBOX_TTL"],
        [{ retention: Duration.millis(NaN) }, "SLACKWATER_RETENTION"],
        [{ retention: Duration.infinity }, "SLACKWATER_RETENTION"],
        [{ retention: Duration.millis(-1) }, "SLACKWATER_RETENTION"],
        [{ keyHorizon: Duration.zero }, "SLACKWATER_KEY_HORIZON"],
        [{ keyHorizon: Duration.infinity }, "SLACKWATER_KEY_HORIZON"],
        [{ retentionCount: NaN }, "SLACKWATER_RETENTION_COUNT"],
        [{ retentionCount: Infinity }, "SLACKWATER_RETENTION_COUNT"],
        [{ retentionCount: 0 }, "SLACKWATER_RETENTION_COUNT"]
      ]
      for (const [given, variable] of overrides) {
        assert.strictEqual((yield* Effect.flip(read({}, given))).setting, variable)
      }
    }))

  it.effect("lets what the host gives win over the environment, also `off`", () =>
    Effect.gen(function*() {
      const settings = yield* read({ SLACKWATER_PORT: "1", SLACKWATER_OUTBOX_TTL: "1 hour" }, {
        port: 2,
        outboxTtl: null
      })
      assert.strictEqual(settings.port, 2)
      assert.isNull(settings.outboxTtl)
    }))

  it.effect("does not ask for a token that the host gives", () =>
    Effect.map(
      Effect.provideService(
        GatewayConfig.read({ appToken: Redacted.make("xapp-1"), botToken: Redacted.make("xoxb-1") }),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnvRecord({})
      ),
      ({ port }) => assert.strictEqual(port, 8787)
    ))

  it.effect("refuses a token that a host without types gives as a plain string, by name", () =>
    Effect.map(
      Effect.flip(read({}, { botToken: "xoxb-plain" as never })),
      ({ message, setting }) => {
        assert.strictEqual(setting, "SLACK_BOT_TOKEN")
        assert.notInclude(message, "plain")
      }
    ))

  it.effect("has the defaults that the table of docs/settings.md says, and every setting is in it", () =>
    Effect.gen(function*() {
      const table = [
        ...readFileSync(new URL("../docs/settings.md", import.meta.url), "utf8").matchAll(
          /^\| (`SLACK[^|]*) \| ([^|]*) \|/gm
        )
      ]
      const quoted = (cell: string | undefined) =>
        [...(cell ?? "").matchAll(/`([^`]*)`/g)].map(([, text]) => text ?? "")
      const named = table.flatMap(([, names, defaults]) =>
        quoted(names).map((name, n) => [name, quoted(defaults)[n]] as const)
      )
      const variables = Object.values(knobs).map(({ env }) => env)
      assert.deepStrictEqual(variables.filter((variable) => !named.some(([name]) => name === variable)), [])
      const said = named.flatMap(([name, value]) =>
        value === undefined || name.endsWith("TOKEN") ? [] : [[name, value]]
      )
      assert.isAtLeast(said.length, 20)
      assert.deepStrictEqual(yield* read(Object.fromEntries(said)), yield* read({}))
    }))

  it("names every variable once", () => {
    const names = Object.values(knobs).map(({ env }) => env)
    assert.strictEqual(new Set(names).size, names.length)
  })
})
