/** Settings: defaults, checks, and sentences that name the variable and never its value. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
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
        debounce: Duration.millis(500),
        concurrency: 16,
        mode: "collect",
        maxWaiting: 1_000,
        allowTeams: [],
        allowChannels: [],
        allowUsers: [],
        retention: Duration.days(30),
        keyHorizon: Duration.days(7),
        handlerTimeout: Duration.minutes(15),
        maxAttempts: 3,
        maxCrashes: 2,
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
        shutdownTimeout: Duration.seconds(25),
        watchdogThreshold: Duration.seconds(60)
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
        SLACKWATER_MAX_CRASHES: "0"
      })
      assert.deepInclude(settings, {
        slackApiUrl: "http://127.0.0.1:1/api/",
        dataDir: "/data",
        port: 0,
        concurrency: 3
      })
      assert.deepInclude(settings, { debounce: Duration.zero, outboxTtl: Duration.hours(2), maxCrashes: 0 })
    }))

  it.effect("wants a reconcile window that outlasts a request and the history's lag", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read({ SLACKWATER_RECONCILE_WINDOW: "20 seconds" }))
      assert.strictEqual(error.setting, "SLACKWATER_RECONCILE_WINDOW")
      assert.include(error.message, "SLACKWATER_REQUEST_TIMEOUT and SLACKWATER_HISTORY_LAG")
      yield* read({ SLACKWATER_RECONCILE_WINDOW: "20 seconds", SLACKWATER_HISTORY_LAG: "9 seconds" })
    }))

  it.effect("takes `resend` for what nobody can find out, and no other word", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* read({ SLACKWATER_UNKNOWN_POLICY: "resend" })).unknownPolicy, "resend")
      assert.include((yield* Effect.flip(read({ SLACKWATER_UNKNOWN_POLICY: "maybe" }))).message, "hold, resend")
    }))

  it.effect("takes `off` for the outbox's time to live", () =>
    Effect.map(read({ SLACKWATER_OUTBOX_TTL: "off" }), ({ outboxTtl }) => assert.isNull(outboxTtl)))

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
    ["SLACKWATER_OUTBOX_TTL", "s3cret"],
    ["SLACKWATER_OUTBOX_TTL", "0 seconds"],
    ["SLACKWATER_SHUTDOWN_TIMEOUT", "s3cret"]
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
        [{ outboxTtl: Duration.zero }, "SLACKWATER_OUTBOX_TTL"]
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

  it("names every variable once", () => {
    const names = Object.values(knobs).map(({ env }) => env)
    assert.strictEqual(new Set(names).size, names.length)
  })
})
