/**
 * `slackwater doctor`: looks at everything a gateway needs, and says of each thing that is wrong what to do.
 *
 * Changes nothing, opens no connection that Slack would send events to, and prints no token; a gateway that runs is not
 * disturbed. `apps.connections.open` and `auth.test` count against Slack's rate limits, once each.
 */
import { Clock, Config, ConfigProvider, Console, Duration, Effect, FileSystem, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { existsSync, statSync } from "node:fs"
import { createServer } from "node:net"
import { join, resolve } from "node:path"
import process from "node:process"
import { type GatewayConfigError, mistakes, setting, type Settings } from "../GatewayConfig.ts"
import { freshFor, Heartbeat, heartbeatFile } from "../heartbeatFile.ts"
import { ownerOf } from "../sql/OwnerLock.ts"
import { version } from "../version.ts"
import { addressOf, getFrom } from "./askGateway.ts"
import { checkDatabase, diskFinding, permissionFindings } from "./doctorFiles.ts"
import { checkApp, checkBot, type SlackSettings } from "./doctorSlack.ts"
import { type Diagnosis, type Finding, ok, skipped, warning, wrong } from "./findings.ts"
import { nodeProblem } from "./nodeVersion.ts"
import { type Paint, paint } from "./paint.ts"
import * as rowFlags from "./rowFlags.ts"
import { settings } from "./settings.ts"
import { json as jsonText, lines } from "./terminalText.ts"
import { Told } from "./told.ts"

/** What it is about, where a setting is wrong. */
const checkOf = (setting: string) =>
  setting === "SLACK_BOT_TOKEN" ? "bot token" : setting === "SLACK_APP_TOKEN" ? "app token" : "settings"

const mistakeFinding = ({ detail, setting }: GatewayConfigError) =>
  wrong(
    checkOf(setting),
    `${setting} ${detail}`,
    `set ${setting} in the environment, or in the file of SLACKWATER_CONFIG`
  )

const nodeFinding = () => {
  const found = process.versions.node
  const problem = nodeProblem(found, process.execPath)
  return problem === undefined ? ok("node", `${found}, Slackwater ${version}`) : wrong("node", problem, "install it")
}

/** A file of settings holds tokens. */
const settingsFile = (path: string): ReadonlyArray<Finding> =>
  path === "" || !existsSync(path) || (statSync(path).mode & 0o077) === 0
    ? []
    : [warning("settings file", `others can read ${path}, which may hold tokens`, `chmod 600 ${path}`)]

const decodeHeartbeat = Schema.decodeUnknownOption(Schema.fromJsonString(Heartbeat))

const ownerFinding = Effect.fnUntraced(function*(dataDir: string) {
  const owner = yield* Effect.result(ownerOf(join(dataDir, "owner.lock")))
  if (owner._tag === "Failure") {
    return { isOwned: false, finding: wrong("owner", owner.failure.message, "see who holds the file open") }
  }
  if (owner.success === undefined) return { isOwned: false, finding: ok("owner", "no gateway runs on the data") }
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(fs.readFileString(join(dataDir, heartbeatFile)), () => "")
  const age = Option.map(decodeHeartbeat(text), ({ at }) => at)
  const now = yield* Clock.currentTimeMillis
  const isFresh = Option.isSome(age) && now - age.value <= Duration.toMillis(freshFor)
  const finding = isFresh
    ? ok("owner", `a gateway runs: ${owner.success}`)
    : warning(
      "owner",
      `a gateway runs (${owner.success}) and gives no fresh sign of life`,
      "if it has not just been started, restart it; see slackwater healthcheck"
    )
  return { isOwned: true, finding }
})

/** Whether a gateway could listen there now. Taken for a moment, and only while none runs. */
const isFree = (host: string, port: number) =>
  Effect.callback<string | undefined>((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.succeed(String(Reflect.get(error, "code")))))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.succeed(undefined))))
  })

const portFinding = Effect.fnUntraced(function*(host: string, port: number, isOwned: boolean) {
  const url = addressOf(host, port)
  if (port === 0) return ok("port", "any: SLACKWATER_PORT is 0")
  if (isOwned) {
    const heard = yield* getFrom("/healthz", { url, port, token: null })
    return heard._tag === "Answer" && heard.status === 200
      ? ok("port", `the gateway answers at ${url}`)
      : warning(
        "port",
        `a gateway runs and does not answer at ${url}`,
        "set SLACKWATER_HOST and SLACKWATER_PORT as it has them"
      )
  }
  const problem = yield* isFree(host, port)
  return problem === undefined
    ? ok("port", `${url} is free`)
    : wrong(
      "port",
      problem === "EADDRINUSE" ? `another program listens at ${url}` : `cannot listen at ${url} (${problem})`,
      "stop what uses it, or set SLACKWATER_HOST and SLACKWATER_PORT"
    )
})

const workspaceFinding = (data: string, token: string): ReadonlyArray<Finding> =>
  data === "" || token === ""
    ? []
    : data === token
    ? [ok("workspace", `the data belong to ${data}, as the bot token does`)]
    : [wrong(
      "workspace",
      `the data belong to ${data}, and the bot token to ${token}`,
      `give ${token} its own SLACKWATER_DATA_DIR, or use the token of ${data}`
    )]

/** A setting that is right, whatever the others are. */
const right = <K extends keyof Settings>(field: K) => Effect.option(setting(field))

const slackFindings = Effect.fnUntraced(function*() {
  const api = yield* Effect.option(Effect.all({
    slackApiUrl: setting("slackApiUrl"),
    requestTimeout: setting("requestTimeout")
  }))
  const [bot, app] = [yield* right("botToken"), yield* right("appToken")]
  if (Option.isNone(api)) return { team: "", findings: [skipped("Slack", "not asked: see the settings")] }
  const known: SlackSettings = api.value
  const [said, connection] = yield* Effect.all([
    Option.isSome(bot) ? checkBot(bot.value, known) : Effect.succeed({ team: "", findings: [] }),
    Option.isSome(app) ? checkApp(app.value, known) : Effect.succeed([])
  ], { concurrency: 2 })
  return { team: said.team, findings: [...said.findings, ...connection] }
})

const examine = Effect.fnUntraced(function*(deep: boolean) {
  const wrongSettings = yield* mistakes
  const slack = yield* slackFindings()
  const [data, host, port] = [yield* right("dataDir"), yield* right("host"), yield* right("port")]
  const local = Option.isNone(data) ? [] : yield* Effect.gen(function*() {
    const dataDir = resolve(data.value)
    const permissions = permissionFindings(dataDir)
    const database = yield* checkDatabase(dataDir, deep)
    const owner = yield* ownerFinding(dataDir)
    return [
      ...permissions,
      ...database.findings,
      ...workspaceFinding(database.team, slack.team),
      owner.finding,
      diskFinding(dataDir),
      ...(Option.isSome(host) && Option.isSome(port)
        ? [yield* portFinding(host.value, port.value, owner.isOwned)]
        : [])
    ]
  })
  const about = wrongSettings.map(mistakeFinding)
  const isRight = !about.some(({ check }) => check === "settings")
  const findings = [
    nodeFinding(),
    ...(isRight ? [ok("settings", "all of them can be used")] : []),
    ...about,
    ...slack.findings,
    ...local
  ]
  const exitCode = wrongSettings.length > 0 ? 78 : findings.some(({ result }) => result === "wrong") ? 1 : 0
  return { exitCode, findings } satisfies Diagnosis
})

const colours = { ok: "green", warning: "yellow", wrong: "red", skipped: "dim" } as const

const print = ({ findings }: Diagnosis, paint: Paint): string =>
  findings.flatMap(({ check, fix, result, says }) => [
    `${paint(colours[result], result.padEnd(8))} ${check.padEnd(15)} ${lines(says).join(" ")}`,
    ...(fix === null ? [] : [`${" ".repeat(25)}→ ${lines(fix).join(" ")}`])
  ]).join("\n")

export const doctor = Command.make(
  "doctor",
  {
    deep: Flag.Boolean("deep").pipe(
      Flag.withDescription("Look at the whole database, indexes too; takes minutes for a large one"),
      Flag.withDefault(false)
    ),
    json: rowFlags.json
  },
  Effect.fn("doctor")(function*({ deep, json }) {
    const given = yield* Effect.result(settings)
    const diagnosis: Diagnosis = given._tag === "Failure"
      ? {
        exitCode: 78,
        findings: [
          nodeFinding(),
          wrong("settings", given.failure.message, "mend the path of SLACKWATER_CONFIG, or unset it")
        ]
      }
      : yield* Effect.provideService(examine(deep), ConfigProvider.ConfigProvider, given.success)
    const findings = [
      ...diagnosis.findings,
      ...settingsFile(yield* Config.String("SLACKWATER_CONFIG").pipe(Config.withDefault("")))
    ]
    const answer: Diagnosis = { ...diagnosis, findings }
    yield* Console.log(json ? jsonText(answer) : print(answer, yield* paint))
    if (answer.exitCode !== 0) return yield* new Told({ exitCode: answer.exitCode })
  })
).pipe(
  Command.withDescription(
    "Check Node, settings, tokens, scopes, Socket Mode, database, permissions and more, and say what to fix"
  ),
  Command.withExamples([
    {
      command: "slackwater doctor",
      description: "0: all is well; 1: something must be fixed; 78: the settings are wrong"
    },
    { command: "slackwater doctor --deep --json", description: "Everything, for another program" }
  ])
)
