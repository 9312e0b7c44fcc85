/** A command is a process group: whatever it started is gone when its turn is. Real processes, real signals. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope } from "effect"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { execHandler, isAlive, linesOf, program, startExec } from "../fixtures/exec.ts"
import { answered, dm, eventually, startGateway, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"

/** A shell that ignores SIGTERM, with two generations below it that do, too; each writes its pid into the file. */
const stubborn = (file: string, then = "wait") => `
  trap '' TERM
  echo $$ >> ${file}
  sh -c 'trap "" TERM; echo $$ >> ${file}; (echo "$(exec sh -c "echo \\$PPID")" >> ${file}; exec sleep 600) & wait' &
  read -r turn
  ${then}
`

const pidsIn = (file: string) => linesOf(file).map(Number)
const started = (file: string) => eventually("three processes", Effect.sync(() => pidsIn(file).length === 3))
const gone = (file: string) =>
  eventually("nobody is left", Effect.sync(() => pidsIn(file).every((pid) => !isAlive(pid))))

describe("of a command that ignores SIGTERM and its grandchildren nothing is left", () => {
  const cases: ReadonlyArray<readonly [when: string, workers: number]> = [
    ["with a process for each turn", 0],
    ["with a kept worker", 1]
  ]
  for (const [how, workers] of cases) {
    it.live(`when its time is over, ${how}`, () =>
      withSlack(Effect.gen(function*() {
        const slack = yield* LocalSlack
        const file = join(yield* temporaryDirectory, "pids")
        yield* startExec(yield* program(stubborn(file), "bot.sh").pipe(Effect.map((path) => `sh ${path}`)), {
          workers,
          settings: { handlerTimeout: Duration.seconds(2), maxAttempts: 1 }
        })
        yield* slack.say({ ...dm, text: "go" })
        yield* started(file)
        assert.isTrue(pidsIn(file).every(isAlive))
        yield* answered("D0ALICE", "Sorry, I could not answer this. Please try again, or ask whoever runs me.")
        yield* gone(file)
      })))

    it.live(`when the gateway closes in the middle of its turn, ${how}`, () =>
      withSlack(Effect.gen(function*() {
        const slack = yield* LocalSlack
        const file = join(yield* temporaryDirectory, "pids")
        const command = `sh ${yield* program(stubborn(file), "bot.sh")}`
        const scope = yield* Scope.make()
        yield* Effect.flatMap(execHandler(command, { workers }), (handler) =>
          Effect.flatMap(temporaryDirectory, (dataDir) =>
            startGateway(dataDir, handler, { shutdownTimeout: Duration.seconds(3) }))).pipe(Scope.provide(scope))
        yield* slack.say({ ...dm, text: "go" })
        yield* started(file)
        yield* Scope.close(scope, Exit.void)
        yield* gone(file)
      })))
  }

  it.live("when it is done", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "pids")
      yield* startExec(`sh ${yield* program(
        stubborn(
          file,
          `
        while [ "$(wc -l < ${file})" -lt 3 ]; do sleep 0.05; done
        echo '{"type":"done","reply":"done"}'
      `
        ),
        "bot.sh"
      )}`)
      yield* slack.say({ ...dm, text: "go" })
      yield* answered("D0ALICE", "done")
      yield* gone(file)
    })))

  it.live("when a newer message interrupts it, which it is told; the run after it starts when it is gone", () =>
    withSlack(Effect.gen(function*() {
      const slack = yield* LocalSlack
      const file = join(yield* temporaryDirectory, "heard")
      yield* startExec(
        yield* program(`
        const turn = await hear()
        if (turn.text === "first") {
          say({ type: "reply", text: "working" })
          appendFileSync(${JSON.stringify(file)}, JSON.stringify(await hear()) + "\\n")
          appendFileSync(${JSON.stringify(file)}, "end of input: " + (await hear() === undefined) + "\\n")
        } else {
          appendFileSync(${JSON.stringify(file)}, "next run\\n")
          say({ type: "done", reply: turn.text.replace("\\n", " ") })
        }
      `),
        { settings: { mode: "interrupt" } }
      )
      yield* slack.say({ ...dm, text: "first" })
      yield* answered("D0ALICE", "working")
      yield* slack.say({ ...dm, text: "second" })
      yield* answered("D0ALICE", "first second")
      assert.deepStrictEqual(linesOf(file), [`{"type":"interrupt"}`, "end of input: true", "next run"])
    })))
})
