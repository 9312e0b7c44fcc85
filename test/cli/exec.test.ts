/** `slackwater run --exec` and `dev --exec` as processes: what the command is given, and that nothing of it is left. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { LocalSlack } from "../../src/testing/index.ts"
import { isAlive, linesOf, program } from "../fixtures/exec.ts"
import { awaitReplies, gateway } from "./gateway.ts"
import { chatOf } from "./http.ts"
import { checkout, directory, eventually, has, slackwater, tokens } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const python = has("python3") ? "" : " (skipped: no python3)"

const secrets = {
  SLACKWATER_ADMIN_TOKEN: "adm1n-5ecret",
  OTEL_EXPORTER_OTLP_HEADERS: "authorization=c0llector-5ecret",
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: "authorization=tr4ces-5ecret",
  SLACKWATER_DATABASE_URL: "postgres://me:5ecret@nowhere/db",
  MY_SETTING: "mine"
}

it.live("the command has the environment but nothing of Slack's or ours, and its standard error is logged with the turn", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "environment")
    const command = yield* program(`
      const turn = await hear()
      appendFileSync(${JSON.stringify(file)}, JSON.stringify(process.env) + "\\n")
      console.error("looking at " + turn.id)
      say({ type: "done", reply: "looked" })
    `)
    const started = yield* gateway(["--exec", command], secrets)
    yield* started.say("go")
    assert.deepStrictEqual(yield* awaitReplies(started, 1), ["looked"])
    const environment = linesOf(file)[0] ?? ""
    assert.include(environment, `"MY_SETTING":"mine"`)
    assert.include(environment, `"PATH":`)
    assert.notMatch(environment, /"(SLACK|SLACKWATER)_/)
    for (const secret of [...Object.values(tokens), "5ecret"]) assert.notInclude(environment, secret)
    const logged = yield* started.running.awaitOutput(/^.*looking at (turn_\w+).*$/)
    const entry = JSON.parse(logged[0])
    assert.strictEqual(entry.level, "INFO")
    assert.strictEqual(entry.annotations.turn, logged[1])
    assert.strictEqual(entry.annotations.from, "stderr")
  }).pipe(withSlack))

/** Writes its pid and that of its child, and never answers. */
const hangs = (file: string) =>
  program(
    `sh -c 'trap "" TERM; echo $$ >> ${file}; sleep 600' &\ntrap '' TERM\necho $$ >> ${file}\nread -r turn\nwait\n`,
    "hang.sh"
  )

for (const workers of [[], ["--exec-workers", "2"]]) {
  const how = workers.length === 0 ? "a process for each turn" : "kept workers"
  it.live(`SIGTERM in the middle of a turn ends with 0 inside the deadline and leaves no process, with ${how}`, () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "pids")
      const started = yield* gateway(["--exec", `sh ${yield* hangs(file)}`, ...workers], {
        SLACKWATER_SHUTDOWN_TIMEOUT: "2 seconds"
      })
      yield* started.say("go")
      yield* eventually("two processes", Effect.sync(() => linesOf(file).length), (n) => n === 2, started.running)
      yield* started.running.signal("SIGTERM")
      assert.deepStrictEqual(yield* started.running.ended, { code: 0, signal: null }, started.running.output)
      assert.match(started.running.stderr, /"requeued":1/)
      assert.deepStrictEqual(linesOf(file).map(Number).filter(isAlive), [])
    }).pipe(withSlack))
}

it.live("a second signal, which ends the process at once (71), leaves none either", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "pids")
    const started = yield* gateway(["--exec", `sh ${yield* hangs(file)}`])
    yield* started.say("go")
    yield* eventually("two processes", Effect.sync(() => linesOf(file).length), (n) => n === 2, started.running)
    yield* started.running.signal("SIGTERM")
    yield* started.running.awaitOutput(/"stopping"/)
    yield* started.running.signal("SIGINT")
    assert.strictEqual((yield* started.running.ended).code, 71)
    yield* eventually(
      "nobody is left",
      Effect.sync(() => linesOf(file).map(Number).filter(isAlive)),
      (left) => left.length === 0
    )
  }).pipe(withSlack))

it.live(`dev runs a command as it runs a module${python}`, (context) =>
  Effect.gen(function*() {
    if (python !== "") return context.skip()
    const running = yield* slackwater([
      "dev",
      "--exec",
      `python3 ${join(checkout, "examples/bot.py")}`,
      "--exec-workers",
      "2"
    ])
    const chat = yield* chatOf(running)
    yield* chat.say("to be or not")
    yield* eventually("the answer", chat.replies(), (replies) => replies.includes("Letters: 2 2 2 3"), running)
  }))
