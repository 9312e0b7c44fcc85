/**
 * No statement reads what is finished: a gateway lives through all that can happen to it over a file with a past of
 * 100,000 messages, and each statement that ran is asked how many rows it may have to visit.
 *
 * Complete by construction: what runs is explained, whether or not anybody thought of it.
 */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer, Stream } from "effect"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { defaultActivation } from "../../src/Activation.ts"
import * as Gateway from "../../src/Gateway.ts"
import { GatewayStatus } from "../../src/GatewayStatus.ts"
import { type Answer, Handler, type Turn } from "../../src/Handler.ts"
import { Responder } from "../../src/Responder.ts"
import * as Database from "../../src/sql/Database.ts"
import { SimulatedSlack } from "../../src/testing/SimulatedSlack.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { past, present } from "../fixtures/past.ts"
import { advance, epoch, inRooms } from "../fixtures/rooms.ts"
import { settings } from "../fixtures/stores.ts"
import { orphans } from "./orphans.ts"
import { reachOf } from "./reach.ts"
import { counted } from "./sqlite.ts"

const finished = 100_000
/** Left by a dead owner; more than anything that is read at once. */
const leftRunning = 1_100
/** Rows that a step of a statement may have to visit at worst. */
const most = 1_000

/** What may visit more, and why. */
const allowed: ReadonlyArray<readonly [statement: RegExp, step: RegExp, why: string]> = [
  [/^SELECT count\(\*\) AS n FROM slackwater_turns WHERE state = 'running'$/, /_running$/, "once a start, for the log"],
  [/"owner" IN \(.*ORDER BY due_at, id LIMIT \(\? \+ 0\)$/, /_running$/, "stops at its limit: its own turns are few"],
  [/^UPDATE slackwater_turns SET state = 'waiting'.* WHERE owner = \?/, /_running$/, "once a stop"],
  [/^SELECT t\.id, t\.conversation, t\.attempt/, /_running$/, "once a minute, for what an operator cancelled"],
  [/AS oldestQueuedAt FROM/, /_open$/, "once in ten seconds at most, for status and metrics"],
  [
    /finished_at > \?(?: AND finished_at <= \?| ORDER BY finished_at LIMIT 1 OFFSET \?)$/,
    /COVERING INDEX \w+_(?:finished|answered|posted) /,
    "status and metrics, a piece of the past at a time"
  ],
  [/EXISTS \(SELECT 1 FROM slackwater_messages/, /_addressed \(conversation=\?\)$/, "stops at the first row"],
  [/EXISTS \(SELECT 1 FROM slackwater_outbox/, /_by_lane \(lane=\?\)$/, "stops at the first row"],
  [/EXISTS \(SELECT 1 FROM slackwater_message_keys/, /\(key>\? AND key<\?\)$/, "stops at the first row"],
  [/ORDER BY id DESC LIMIT \?/, /_(?:addressed|by_lane) \((?:conversation|lane)=\?\)$/, "history: stops at its limit"]
]

/** What a handler can do, by what it is told. */
const handler = (turn: Turn): Effect.Effect<Answer, unknown> => {
  switch (turn.text.split(" ").at(-1)) {
    case "change":
      return Effect.gen(function*() {
        const handle = yield* turn.reply({ text: "one moment", interim: true })
        yield* turn.update(handle, "done")
        yield* turn.react("eyes")
        const other = yield* turn.reply("not this")
        yield* turn.delete(other)
      })
    case "stream":
      return turn.streamFrom(Stream.make("a", "b", "c"))
    case "upload":
      return turn.upload({ filename: "a.txt", content: "abc" })
    case "long":
      return Effect.succeed("word ".repeat(4_000))
    case "remember":
      return Effect.gen(function*() {
        yield* turn.step("a", Effect.succeed(1))
        yield* turn.state.set({ n: 1 })
        yield* turn.status("thinks")
        return `${(yield* turn.history()).length}`
      })
    case "fail":
      return Effect.fail("as told")
    case "hang":
      return Effect.as(Effect.sleep("20 seconds"), undefined)
    case "nothing":
      return Effect.void
    default:
      return Effect.succeed(`You said: ${turn.text}`)
  }
}

const words = ["hello", "change", "stream", "upload", "long", "remember", "fail", "hang"]

it.effect("no statement of a gateway's life visits more than what waits", () =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDirectory
    const config = settings({ dataDir, port: 0, maxAttempts: 2, retention: Duration.days(30) })
    yield* Effect.andThen(past(finished), Effect.andThen(present(75, epoch * 3), orphans(leftRunning, "nothing"))).pipe(
      Effect.provide(Layer.fresh(Database.layer.pipe(Layer.provide(config))))
    )
    // What is asked for how much there is of each kind: the gateway works its orphans off.
    const asItWas = join(dataDir, "as-it-was.db")
    copyFileSync(join(dataDir, "slackwater.db"), asItWas)
    const { seen } = yield* counted
    const rooms = Gateway.way(defaultActivation, undefined).pipe(
      Layer.provide([SimulatedSlack.connection, SimulatedSlack.api]),
      Layer.provideMerge(Gateway.ground),
      Layer.provide([Handler.layer(Handler.make(handler)), Responder.layer()]),
      Layer.provideMerge(SimulatedSlack.layer()),
      Layer.provideMerge(config),
      Layer.orDie
    )
    yield* Effect.gen(function*() {
      const { act, world } = yield* SimulatedSlack
      yield* advance("5 seconds", "250 millis")
      for (const word of words) {
        yield* act((_, now) => world.say({ channel: "D0BOB", user: "U0BOB", text: word }, now))
        yield* act((_, now) => world.say({ channel: "C0GENERAL", user: "U0ALICE", text: `<@U0BOT> ${word}` }, now))
        yield* advance("5 seconds", "250 millis")
      }
      yield* advance("1 minute", "1 second")
      // Nothing of this is lost on the way.
      const { inbox, outbox } = yield* (yield* GatewayStatus).snapshot
      assert.deepInclude(inbox, { queued: 75, processing: 0 })
      assert.isAtLeast(outbox.delivered - finished, 20)
    }).pipe(inRooms(rooms))
    const texts = [...seen.texts.keys()].filter((text) => text.includes("slackwater_"))
    assert.isAtLeast(texts.length, 80)
    const far = reachOf(asItWas, texts).filter(({ rows, statement, step }) =>
      rows > most && !allowed.some(([of, at]) => of.test(statement) && at.test(step))
    )
    assert.deepStrictEqual(far, [])
  }), 120_000)
