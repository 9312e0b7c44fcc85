/** A handler in another language, and `kill -9` of the gateway in the middle of its work. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { has } from "../cli/process.ts"
import { isAlive, linesOf, program } from "../fixtures/exec.ts"
import { answered, answers, dm, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connectGateway, count, ending, logged, stop, until } from "./harness.ts"

const python = has("python3") ? "" : " (skipped: no python3)"

describe("kill -9 in the third step of examples/bot.py", () => {
  for (const workers of [[], ["--exec-workers", "2"]]) {
    const how = workers.length === 0 ? "with a process for each turn" : "with kept workers"
    it.live(`goes on at that step and answers once, ${how}${python}`, (context) =>
      Effect.gen(function*() {
        if (python !== "") return context.skip()
        const slack = yield* LocalSlack
        const dataDir = yield* temporaryDirectory
        const exec = ["--exec", "python3 examples/bot.py", ...workers]
        const killed = yield* connectGateway(dataDir, { BOT_SLOWNESS: "0.5" }, exec)
        yield* slack.say({ ...dm, text: "to be or not" })
        yield* until("the third step is at work", () => logged(killed, "looking up or").length === 1, killed)
        killed.signal("SIGKILL")
        yield* ending(killed)
        assert.strictEqual(count(dataDir, "SELECT count(*) FROM slackwater_steps"), 2)
        const next = yield* connectGateway(dataDir, {}, exec)
        yield* answered(dm.channel, "Letters: 2 2 2 3")
        assert.strictEqual((yield* stop(next)).code, 0)
        assert.deepStrictEqual(yield* answers(dm.channel), ["Letters: 2 2 2 3"])
        const lookedUp = (gateway: typeof next) =>
          ["to", "be", "or", "not"].filter((word) => logged(gateway, `looking up ${word}`).length > 0)
        assert.deepStrictEqual([lookedUp(killed), lookedUp(next)], [["to", "be", "or"], ["or", "not"]])
        assert.include(JSON.stringify(logged(next, "looking up or")), `"attempt":2`)
      }).pipe(withSlack))
  }
})

describe("kill -9 of the gateway", () => {
  it.live("ends examples/bot.sh and what it runs, since its input ends; the same turn runs again with attempt 2", () =>
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const file = join(yield* temporaryDirectory, "pids")
      const work = yield* program(`echo $$ >> ${file}\necho $PPID >> ${file}\nexec sleep 600\n`, "work.sh")
      const exec = ["--exec", "examples/bot.sh"]
      const killed = yield* connectGateway(dataDir, { BOT_COMMAND: `sh ${work}` }, exec)
      yield* slack.say({ ...dm, text: "say \"hi\"" })
      yield* answered(dm.channel, "You said: say \"hi\"")
      yield* until("it is at work", () => linesOf(file).length === 2, killed)
      killed.signal("SIGKILL")
      yield* ending(killed)
      yield* until("nobody is left", () => linesOf(file).map(Number).every((pid) => !isAlive(pid)))
      const next = yield* connectGateway(dataDir, { BOT_COMMAND: "echo at work" }, exec)
      yield* answered(dm.channel, "at work ")
      assert.strictEqual((yield* stop(next)).code, 0)
      assert.deepStrictEqual(yield* answers(dm.channel), ["You said: say \"hi\"", "at work "])
      assert.strictEqual(count(dataDir, "SELECT max(attempt) FROM slackwater_turns"), 2)
    }).pipe(withSlack))
})
