/**
 * `slackwater healthcheck`: whether the gateway of the data directory gives signs of life, by the age of its heartbeat.
 * For containers and whoever else watches from outside: opens no database and needs no tokens.
 */
import { Clock, Console, Duration, Effect, FileSystem, Option, Path, Runtime, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { setting } from "../GatewayConfig.ts"
import { freshFor, Heartbeat, heartbeatFile } from "../heartbeatFile.ts"
import { perform } from "./perform.ts"
import { reading } from "./settings.ts"
import { Told } from "./told.ts"
import { UsageError } from "./usage.ts"

class Unhealthy extends Schema.TaggedError<Unhealthy>()("Unhealthy", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return this.detail
  }
}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Heartbeat))

/** What `healthcheck --json` prints. */
export const Health = Schema.Struct({
  ok: Schema.Boolean,
  /** Why it is not; null where it is. */
  problem: Schema.NullOr(Schema.String),
  ageMs: Schema.NullOr(Schema.Finite),
  maxAgeMs: Schema.Finite,
  heartbeat: Schema.NullOr(Heartbeat)
})

const seconds = (ms: number) => `${Math.round(ms / 1_000)} s`

const read = Effect.fnUntraced(function*(dataDir: string) {
  const fs = yield* FileSystem.FileSystem
  const file = (yield* Path.Path).join(dataDir, heartbeatFile)
  const text = yield* Effect.mapError(fs.readFileString(file), (error) =>
    new Unhealthy({
      detail: error.reason._tag === "NotFound"
        ? `there is no ${file}: no gateway has run there yet; see SLACKWATER_DATA_DIR`
        : `${file} cannot be read (${error.reason._tag})`
    }))
  return yield* Effect.mapError(decode(text), () => new Unhealthy({ detail: `${file} holds no heartbeat` }))
})

/** Why it is no sign of life. */
const problemOf = ({ at, phase }: Heartbeat, now: number, maxAgeMs: number) => {
  const age = now - at
  if (phase === "stopped") return `the gateway has stopped, ${seconds(age)} ago`
  // Of a dead process too, if the clock was set back since.
  if (age < -maxAgeMs) return `the heartbeat is ${seconds(-age)} in the future: the clock was set back`
  if (age > maxAgeMs) return `the last heartbeat is ${seconds(age)} old, more than ${seconds(maxAgeMs)}`
  return undefined
}

export const healthcheck = Command.make(
  "healthcheck",
  {
    maxAge: Flag.String("max-age").pipe(
      Flag.withDescription(`How old the heartbeat may be (default: "${Duration.format(freshFor)}")`),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print what was found as JSON"), Flag.withDefault(false))
  },
  Effect.fn("healthcheck")(function*(given) {
    const maxAge = Option.match(given.maxAge, { onNone: () => Option.some(freshFor), onSome: durationOf })
    if (Option.isNone(maxAge)) {
      return yield* new UsageError({
        command: "healthcheck",
        detail: "--max-age must be a duration above zero, like \"45 seconds\""
      })
    }
    const maxAgeMs = Duration.toMillis(maxAge.value)
    const dataDir = yield* reading(setting("dataDir"))
    const now = yield* Clock.currentTimeMillis
    const found = yield* Effect.result(read(dataDir))
    const heartbeat = found._tag === "Success" ? found.success : null
    const problem = found._tag === "Success" ? problemOf(found.success, now, maxAgeMs) : found.failure.detail
    if (given.json) {
      const ageMs = heartbeat === null ? null : now - heartbeat.at
      const health: typeof Health.Type = {
        ok: problem === undefined,
        problem: problem ?? null,
        ageMs,
        maxAgeMs,
        heartbeat
      }
      yield* Console.log(JSON.stringify(health))
      return yield* problem === undefined ? Effect.void : new Told({ exitCode: 1 })
    }
    if (heartbeat === null || problem !== undefined) return yield* new Unhealthy({ detail: problem ?? "" })
    const { network, phase, socket } = heartbeat
    yield* Console.log(
      `ok: ${phase}, socket ${socket}, network ${network}, ${seconds(Math.max(0, now - heartbeat.at))} ago`
    )
  })
).pipe(Command.withDescription("Exit 0 while the heartbeat of the data directory is fresh, 1 otherwise"))

const durationOf = (text: string) =>
  Option.filter(
    Duration.fromInput(text as Duration.Input),
    (duration) => Duration.isFinite(duration) && Duration.toMillis(duration) > 0
  )

/** Alone, for a quick start. */
export const main = perform(Command.make("slackwater").pipe(Command.withSubcommands([healthcheck])))
