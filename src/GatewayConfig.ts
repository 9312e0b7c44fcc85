/**
 * Every knob, its default and its environment name, in one table.
 *
 * Owns the reading and checking of settings: a bad value or a missing token fails here, before anything is opened,
 * with a sentence that names the variable and never its value. Tokens are `Redacted`.
 * Does not: read files or `process.env`; the ConfigProvider in force does.
 */
import { Config, Context, Duration, Effect, Layer, Redacted, Runtime, Schema } from "effect"
import { isLoopback } from "./loopback.ts"

export class GatewayConfigError extends Schema.TaggedError<GatewayConfigError>()("GatewayConfigError", {
  setting: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `${this.setting} ${this.detail}`
  }
}

interface Knob<A> {
  readonly env: string
  readonly read: Config.Config<A>
  /** How a good value looks; completes the sentence "NAME …". */
  readonly expects: string
  readonly valid: (value: A) => boolean
}

const knob = <A>(env: string, read: Config.Config<A>, expects: string, valid: (value: A) => boolean): Knob<A> => ({
  env,
  read,
  expects,
  valid
})

const token = (env: string, prefix: string, whence: string) =>
  knob(env, Config.Redacted(env), `must be set to a token that begins with ${prefix} (${whence})`, (value) => {
    // Whoever embeds us without types may hand over a plain string; that is refused like any other bad value.
    if (!Redacted.isRedacted(value)) return false
    const secret = Redacted.value(value)
    return secret.startsWith(prefix) && secret.length > prefix.length && !/\s/.test(secret)
  })

const duration = (env: string, fallback: Duration.Input, minimumMs = 1) =>
  knob(
    env,
    Config.Duration(env).pipe(Config.withDefault(Duration.fromInputUnsafe(fallback))),
    `must be a duration like "${String(fallback)}"${
      minimumMs > 1 ? `, at least ${Duration.format(Duration.millis(minimumMs))}` : minimumMs > 0 ? ", above zero" : ""
    }`,
    (value) => Duration.isFinite(value) && Duration.toMillis(value) >= minimumMs
  )

const whole = (env: string, fallback: number, { least = 1, most = Infinity } = {}) =>
  knob(
    env,
    Config.Int(env).pipe(Config.withDefault(fallback)),
    `must be a whole number from ${least} ${most === Infinity ? "up" : `to ${most}`}`,
    (value) => Number.isSafeInteger(value) && value >= least && value <= most
  )

const switchable = (env: string, fallback: Duration.Input): Knob<Duration.Duration | null> =>
  knob(
    env,
    Config.Duration(env).pipe(
      Config.orElse(() => Config.Literal("off", env).pipe(Config.map(() => null))),
      Config.withDefault(Duration.fromInputUnsafe(fallback))
    ),
    `must be a duration like "${String(fallback)}", or "off"`,
    (value) => value === null || (Duration.isFinite(value) && Duration.toMillis(value) > 0)
  )

const sentence = (env: string, fallback: string | null): Knob<string | null> =>
  knob(
    env,
    Config.String(env).pipe(Config.map((text) => text === "off" ? null : text), Config.withDefault(fallback)),
    `must be what the person is told, or "off"`,
    (value) => value === null || value.trim() !== ""
  )

const switchableWhole = (env: string, fallback: number): Knob<number | null> =>
  knob(
    env,
    Config.Int(env).pipe(
      Config.orElse(() => Config.Literal("off", env).pipe(Config.map(() => null))),
      Config.withDefault(fallback)
    ),
    `must be a whole number from 1 up, or "off"`,
    (value) => value === null || (Number.isSafeInteger(value) && value >= 1)
  )

const list = (env: string) =>
  knob(
    env,
    Config.String(env).pipe(
      Config.withDefault(""),
      Config.map((text): ReadonlyArray<string> => text.split(",").map((id) => id.trim()).filter((id) => id !== ""))
    ),
    "must be Slack ids with commas between, like \"C0123ABCD,C0456EFGH\"",
    (ids) => ids.every((id) => /^[A-Z0-9]+$/.test(id))
  )

const hosts = (env: string) =>
  knob(
    env,
    Config.String(env).pipe(
      Config.withDefault(""),
      Config.map((text): ReadonlyArray<string> =>
        text.split(",").map((host) => host.trim()).filter((host) => host !== "")
      )
    ),
    "must be host names with commas between, like \"bot.example.com\" or \"bot.example.com:8443\"",
    (names) => names.every((name) => /^[a-z0-9_.-]+(:\d+)?$|^\[[0-9a-f:.]+\](:\d+)?$/i.test(name))
  )

/** Nothing is no token: an empty variable is how many tools leave one out. */
const adminToken: Knob<Redacted.Redacted | null> = knob<Redacted.Redacted | null>(
  "SLACKWATER_ADMIN_TOKEN",
  Config.Redacted("SLACKWATER_ADMIN_TOKEN").pipe(
    Config.map((value) => Redacted.value(value) === "" ? null : value),
    Config.withDefault(null)
  ),
  "must be a token without blanks, like what `openssl rand -hex 32` prints",
  // As with Slack's tokens: a plain string is refused.
  (value) => value === null || (Redacted.isRedacted(value) && /^[\x21-\x7e]+$/.test(Redacted.value(value)))
)

/** What happens to messages that arrive while their conversation's turn runs. */
export type Mode = "collect" | "followup" | "steer" | "interrupt"
export const modes: ReadonlyArray<Mode> = ["collect", "followup", "steer", "interrupt"]

export type UnknownPolicy = "hold" | "resend"
const unknownPolicies: ReadonlyArray<UnknownPolicy> = ["hold", "resend"]

const name = (env: string, fallback: string) =>
  knob(env, Config.String(env).pipe(Config.withDefault(fallback)), "must not be empty", (value) => value.trim() !== "")

export const knobs = {
  /** For Socket Mode: an app-level token with `connections:write`. */
  appToken: token("SLACK_APP_TOKEN", "xapp-", "App-Level Tokens on your app's Basic Information page"),
  /** For the Web API. */
  botToken: token("SLACK_BOT_TOKEN", "xoxb-", "Bot User OAuth Token on your app's OAuth & Permissions page"),
  /** Base URL of the Web API, with a trailing slash. */
  slackApiUrl: knob(
    "SLACK_API_URL",
    Config.String("SLACK_API_URL").pipe(Config.withDefault("https://slack.com/api/")),
    "must be an http(s) address",
    (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
  ),
  /** Holds `slackwater.db`, `owner.lock`, `heartbeat.json`, `wake` and `spool`; made with mode 0700. */
  dataDir: name("SLACKWATER_DATA_DIR", "./slackwater-data"),
  host: name("SLACKWATER_HOST", "127.0.0.1"),
  /** 0 takes any free port. */
  port: knob(
    "SLACKWATER_PORT",
    Config.Int("SLACKWATER_PORT").pipe(Config.withDefault(8787)),
    "must be a port from 0 to 65535",
    (value) => Number.isInteger(value) && value >= 0 && value <= 65_535
  ),
  /** What every change over HTTP must bring, and beyond loopback every look too. Null: nothing can be changed. */
  adminToken,
  /** Names under which the gateway may be asked over HTTP, beside those of this machine: a proxy's, for one. */
  allowedHosts: hosts("SLACKWATER_ALLOWED_HOSTS"),
  /** Quiet time after the last message of a conversation before its turn starts; at most five of them in all. */
  debounce: duration("SLACKWATER_DEBOUNCE", "500 millis", 0),
  /** Turns at once. */
  concurrency: whole("SLACKWATER_CONCURRENCY", 16),
  /**
   * Messages that arrive while their conversation's turn runs: `collect` (all that waited become the next turn),
   * `followup` (one turn each), `steer` (offered to the running turn), `interrupt` (stop it, start again with them).
   */
  mode: knob(
    "SLACKWATER_MODE",
    Config.Literals(modes, "SLACKWATER_MODE").pipe(Config.withDefault<Mode>("collect")),
    `must be one of ${modes.join(", ")}`,
    (value: Mode) => modes.includes(value)
  ),
  /** Messages that may wait in one conversation; one more becomes a dead letter. */
  maxWaiting: whole("SLACKWATER_MAX_WAITING", 1_000),
  /** Teams, channels and people whose messages may start a turn; an empty list allows all. */
  allowTeams: list("SLACKWATER_ALLOW_TEAMS"),
  allowChannels: list("SLACKWATER_ALLOW_CHANNELS"),
  allowUsers: list("SLACKWATER_ALLOW_USERS"),
  /** Age at which finished messages and replies are deleted. */
  retention: duration("SLACKWATER_RETENTION", "30 days"),
  /**
   * Finished messages, and finished replies, that are kept at most; looked at once an hour. A bound on the disk for
   * floods, and no second age: what starts no turn counts too, and dead letters are to last as long as promised.
   */
  retentionCount: switchableWhole("SLACKWATER_RETENTION_COUNT", 1_000_000),
  /** How long a repetition of an event is recognised; Slack's last one comes after hours. */
  keyHorizon: duration("SLACKWATER_KEY_HORIZON", "7 days", 86_400_000),
  handlerTimeout: duration("SLACKWATER_HANDLER_TIMEOUT", "15 minutes"),
  /** Handler failures before a turn becomes a dead letter. */
  maxAttempts: whole("SLACKWATER_MAX_ATTEMPTS", 3),
  /** Crashes of the process that a suspect turn may be held against before it becomes a dead letter; 0 never. */
  maxCrashes: whole("SLACKWATER_MAX_CRASHES", 2, { least: 0 }),
  /** What the person is told in the thread when a turn becomes a dead letter. */
  failureNotice: sentence(
    "SLACKWATER_FAILURE_NOTICE",
    "Sorry, I could not answer this. Please try again, or ask whoever runs me."
  ),
  /** What the thread is told when a turn goes on that a restart had cut off. */
  resumeNote: sentence("SLACKWATER_RESUME_NOTE", null),
  /** First wait after a handler failure; doubles with each, with jitter, up to five minutes. */
  retryDelay: duration("SLACKWATER_RETRY_DELAY", "5 seconds"),
  /** Age at which an unsent reply is no longer worth sending. */
  outboxTtl: switchable("SLACKWATER_OUTBOX_TTL", "24 hours"),
  /** Sends that may have arrived and did not, before a reply fails for good; outages do not count. */
  outboxMaxAttempts: whole("SLACKWATER_OUTBOX_MAX_ATTEMPTS", 10),
  /** Time between two posts to one channel once its burst is used up (Slack: about one a second). */
  paceInterval: duration("SLACKWATER_PACE_INTERVAL", "1 second", 0),
  /** Posts to one channel that may go out at once. */
  paceBurst: whole("SLACKWATER_PACE_BURST", 4),
  /** Bytes of one file that is uploaded. */
  maxUpload: whole("SLACKWATER_MAX_UPLOAD", 100_000_000),
  /** A Web API call without an answer for this long may have arrived. */
  requestTimeout: duration("SLACKWATER_REQUEST_TIMEOUT", "10 seconds"),
  /** How long a reply that may have arrived is looked for before it counts as absent. */
  reconcileWindow: duration("SLACKWATER_RECONCILE_WINDOW", "30 seconds"),
  /** How much later than it was posted a message may appear in Slack's history. */
  historyLag: duration("SLACKWATER_HISTORY_LAG", "10 seconds", 0),
  /**
   * A reply that may have arrived where nobody can look: `hold` (it waits for a person) or `resend` (it may come
   * twice).
   */
  unknownPolicy: knob(
    "SLACKWATER_UNKNOWN_POLICY",
    Config.Literals(unknownPolicies, "SLACKWATER_UNKNOWN_POLICY").pipe(Config.withDefault<UnknownPolicy>("hold")),
    `must be one of ${unknownPolicies.join(", ")}`,
    (value: UnknownPolicy) => unknownPolicies.includes(value)
  ),
  /** After a longer time without a connection, what was said meanwhile is looked for in Slack's history. */
  catchUp: switchable("SLACKWATER_CATCH_UP", "2 seconds"),
  /** What was said longer ago is not answered any more. */
  catchUpAge: duration("SLACKWATER_CATCH_UP_AGE", "12 hours"),
  /** Calls that one catch-up may make. */
  catchUpCalls: whole("SLACKWATER_CATCH_UP_CALLS", 500),
  /** One absolute deadline for everything between the signal and the end of the process. */
  shutdownTimeout: duration("SLACKWATER_SHUTDOWN_TIMEOUT", "25 seconds"),
  /**
   * Connections to Slack that are kept; with 2 the end of one is no gap. One more is open while one is replaced, and
   * Slack allows an app 10, those of other processes included.
   */
  connections: whole("SLACKWATER_CONNECTIONS", 1, { most: 4 }),
  /** Continuously down for this long: the connection is forced anew. */
  watchdogThreshold: duration("SLACKWATER_WATCHDOG_THRESHOLD", "60 seconds"),
  /** Forced reconnects in a row that may fail while Slack's Web API answers; then the process ends with 75. */
  watchdogMaxAttempts: whole("SLACKWATER_WATCHDOG_MAX_ATTEMPTS", 10)
}

type Knobs = typeof knobs
/** The settings by field name; the shape of `GatewayConfig`. */
export type Settings = { readonly [K in keyof Knobs]: Knobs[K] extends Knob<infer A> ? A : never }

/** A quiet window ends after a quiet time, at the latest so many ms after its first message. */
export const longestWindow = ({ debounce }: Pick<Settings, "debounce">): number =>
  5 * Math.round(Duration.toMillis(debounce))

/** Completes "SLACKWATER_ADMIN_TOKEN …". */
export const neededFor = (host: string) =>
  `must be set where SLACKWATER_HOST (${host}) lets others than this machine in: set it, for example to what ` +
  "`openssl rand -hex 32` prints, or set SLACKWATER_HOST to 127.0.0.1"

const readOne = Effect.fnUntraced(function*<A>(entry: Knob<A>, given: A | undefined) {
  const value = given !== undefined ? given : yield* entry.read.pipe(
    Effect.mapError(() => new GatewayConfigError({ setting: entry.env, detail: entry.expects }))
  )
  if (!entry.valid(value)) {
    return yield* new GatewayConfigError({ setting: entry.env, detail: entry.expects })
  }
  return value
})

/** One setting alone, for commands that need no tokens. */
export const setting = <K extends keyof Settings>(field: K): Effect.Effect<Settings[K], GatewayConfigError> =>
  readOne<Settings[K]>(knobs[field] as unknown as Knob<Settings[K]>, undefined)

export class GatewayConfig extends Context.Service<GatewayConfig, Settings>()("slackwater/GatewayConfig") {
  /** Reads what `given` leaves out from the ConfigProvider; checks both. */
  static readonly read = Effect.fnUntraced(function*(given: Partial<Settings> = {}) {
    const entries = yield* Effect.forEach(Object.entries(knobs), ([field, entry]) =>
      Effect.map(
        readOne<unknown>(entry as Knob<unknown>, given[field as keyof Settings]),
        (value) => [field, value] as const
      ))
    const settings = Object.fromEntries(entries) as unknown as Settings
    const longest = Duration.sum(settings.requestTimeout, settings.historyLag)
    // A post that comes at the end of its request, and shows up late, must not count as absent before.
    if (!Duration.isGreaterThan(settings.reconcileWindow, longest)) {
      return yield* new GatewayConfigError({
        setting: knobs.reconcileWindow.env,
        detail: `must be longer than ${knobs.requestTimeout.env} and ${knobs.historyLag.env} together`
      })
    }
    // What is found in the history must still be recognised where it was heard before.
    if (!Duration.isLessThan(settings.catchUpAge, settings.keyHorizon)) {
      return yield* new GatewayConfigError({
        setting: knobs.catchUpAge.env,
        detail: `must be shorter than ${knobs.keyHorizon.env}`
      })
    }
    if (!isLoopback(settings.host) && settings.adminToken === null) {
      return yield* new GatewayConfigError({ setting: knobs.adminToken.env, detail: neededFor(settings.host) })
    }
    return settings
  })

  static readonly layer = (given: Partial<Settings> = {}) => Layer.effect(GatewayConfig, GatewayConfig.read(given))
}
