/** After a gap: what Slack never delivers is found in its history, and answered once. Real clients, real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Scope, SubscriptionRef } from "effect"
import { GatewayStatus, Handler } from "slackwater"
import { LocalSlack, type LocalSlackOptions } from "slackwater/testing"
import {
  answered,
  answers,
  connected,
  dm,
  echo,
  eventually,
  startGateway,
  temporaryDirectory,
  withDatabase,
  withSlack
} from "./fixtures/gateway.ts"
import { forward, type Wall, withWall } from "./fixtures/wall.ts"

const bob = { channel: "C0GENERAL", user: "U0BOB" }
const bobsDm = { channel: "D0BOB", user: "U0BOB" }

/** Slack repeats nothing, and what is said while nobody is connected never comes. */
const forgetful: LocalSlackOptions = {
  channels: ["C0NEW"],
  faults: { retryDelaysMs: [], deliverWhileDown: false }
}
const say = (
  text: string,
  where: { readonly channel: string; readonly user: string; readonly thread_ts?: string } = dm
) => LocalSlack.use((slack) => slack.say({ ...where, text }))

type Gateway = Context.Context<GatewayStatus>

const socketOf = (gateway: Gateway) => SubscriptionRef.get(Context.get(gateway, GatewayStatus).socket)
const alarmsOf = (gateway: Gateway) =>
  Effect.map(
    Context.get(gateway, GatewayStatus).snapshot,
    ({ alarms }) => alarms.filter(({ code }) => code.startsWith("catch-up"))
  )

/** For ten seconds at least nobody can connect, until the body is over; the gateway knows it. */
const during = Effect.fnUntraced(function*<A, E, R>(gateway: Gateway, body: Effect.Effect<A, E, R>) {
  const slack = yield* LocalSlack
  // Slack may have greeted a connection of which the gateway does not know yet.
  yield* eventually("connected", Effect.map(socketOf(gateway), (socket) => socket.disconnectedSince === null))
  yield* slack.faults({ refuseWebSocket: true })
  yield* slack.dropConnections
  yield* eventually("disconnected", Effect.map(socketOf(gateway), (socket) => socket.disconnectedSince !== null))
  yield* forward("10 seconds")
  const said = yield* body
  yield* slack.faults({ refuseWebSocket: null })
  yield* eventually("connected again", Effect.map(socketOf(gateway), (socket) => socket.disconnectedSince === null))
  return said
})

/** Calls of this method so far that Slack took. */
const callsOf = (method: string) =>
  LocalSlack.use((slack) =>
    Effect.map(
      slack.journal,
      (entries) => entries.filter((entry) => entry._tag === "ApiCall" && entry.method === method && entry.ok).length
    )
  )

/** Waits for the end of a look that has begun after this. */
const lookedAfter = Effect.fnUntraced(function*(dataDir: string, since: number) {
  yield* eventually(
    "the mark has moved",
    Effect.map(
      withDatabase(
        dataDir,
        (database) => database.prepare("SELECT max(heard_until) AS heard FROM slackwater_instances").get()
      ),
      (row) => Number(row?.["heard"]) > since
    )
  )
})

const rowsOf = (dataDir: string, ts: string) =>
  withDatabase(
    dataDir,
    (database) =>
      database.prepare("SELECT state, reason FROM slackwater_messages WHERE slack_ts = ?").all(ts).map((row) => ({
        ...row
      }))
  )

const test = <A, E>(
  sentence: string,
  body: Effect.Effect<A, E, LocalSlack | Scope.Scope | Wall>
) => it.live(sentence, () => withWall(withSlack(body, forgetful)), 60_000)

describe("an outage", () => {
  test(
    "of ten minutes: 40 messages that Slack never delivers are answered, each once",
    Effect.gen(function*() {
      const gateway = yield* startGateway(yield* temporaryDirectory, echo)
      yield* connected
      const ancient = yield* say("<@U0BOT> ancient", bob)
      yield* answered("C0GENERAL", "You said: ancient")
      yield* forward("13 hours")
      const root = yield* say("<@U0BOT> root", bob)
      const foreign = yield* say("nothing for the bot", bob)
      yield* answered("C0GENERAL", "You said: root")
      yield* forward("3 hours")
      const threads = new Set<string>()
      yield* during(
        gateway,
        Effect.gen(function*() {
          for (let n = 0; n < 40; n++) {
            yield* forward("15 seconds")
            const text = `number ${n}`
            const mention = `<@U0BOT> ${text}`
            const kind = n % 8
            if (kind === 0) threads.add(yield* say(mention, bob))
            else if (kind === 1) yield* say(mention, { ...bob, channel: "C0NEW" })
            else if (kind === 2) yield* say(text)
            else if (kind === 3) yield* say(text, bobsDm)
            else if (kind === 4) yield* say(text, { ...bob, thread_ts: [...threads].at(-1) ?? root })
            else if (kind === 5) yield* say(text, { ...bob, thread_ts: root })
            else if (kind === 6) yield* say(text, { ...bob, thread_ts: ancient })
            else yield* say(mention, { ...bob, thread_ts: foreign })
          }
        })
      )
      const numbers = Effect.map(
        Effect.forEach(["C0GENERAL", "C0NEW", "D0ALICE", "D0BOB"], answers),
        (posts) => posts.flat().flatMap((post) => [...post.matchAll(/number (\d+)/g)].map(([, n]) => Number(n)))
      )
      yield* eventually("all are answered", Effect.map(numbers, (found) => new Set(found).size === 40))
      assert.deepStrictEqual((yield* numbers).toSorted((a, b) => a - b), Array.from({ length: 40 }, (_, n) => n))
      // What was said to the bot before, and by the bot itself, is not answered again.
      const all = (yield* Effect.forEach(["C0GENERAL", "C0NEW", "D0ALICE", "D0BOB"], answers)).flat().join("\n")
      assert.strictEqual(all.match(/root|ancient|You said: You said/g)?.length, 2)
      assert.deepStrictEqual(yield* alarmsOf(gateway), [])
    })
  )

  test(
    "no longer than the threshold is left to Slack",
    Effect.gen(function*() {
      const gateway = yield* startGateway(yield* temporaryDirectory, echo, { catchUp: Duration.minutes(1) })
      yield* connected
      yield* during(gateway, say("lost"))
      yield* say("afterwards")
      yield* answered("D0ALICE", "You said: afterwards")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["You said: afterwards"])
      assert.strictEqual(yield* callsOf("users.conversations"), 0)
    })
  )

  test(
    "is not looked into when that is switched off",
    Effect.gen(function*() {
      const gateway = yield* startGateway(yield* temporaryDirectory, echo, { catchUp: null })
      yield* connected
      yield* during(gateway, say("lost"))
      yield* say("afterwards")
      yield* answered("D0ALICE", "You said: afterwards")
      assert.strictEqual(yield* callsOf("users.conversations"), 0)
    })
  )

  test(
    "what was said is one turn per conversation, in the order in which it was said, and as a live event",
    Effect.gen(function*() {
      const turns: Array<readonly [string, string]> = []
      const noting = Handler.make((turn) =>
        Effect.sync(() => {
          turns.push([turn.conversation, turn.text])
          return "noted"
        })
      )
      const gateway = yield* startGateway(yield* temporaryDirectory, noting)
      yield* connected
      const thread = yield* during(
        gateway,
        Effect.gen(function*() {
          const root = yield* say("<@U0BOT> one", bob)
          const said = yield* say("hello")
          yield* say("two", { ...bob, thread_ts: root })
          // It has a reply now, and is still no part of a thread itself.
          yield* say("aside", { ...dm, thread_ts: said })
          yield* say("three", { ...bob, thread_ts: root })
          return { root, said }
        })
      )
      yield* eventually("all are handled", Effect.sync(() => turns.length === 3))
      assert.deepStrictEqual(
        new Map(turns),
        new Map([
          [`C0GENERAL/${thread.root}`, "one\ntwo\nthree"],
          ["D0ALICE", "hello"],
          [`D0ALICE/${thread.said}`, "aside"]
        ])
      )
    })
  )

  test(
    "leaves alone what is known, whatever has become of it",
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const gateway = yield* startGateway(dataDir, echo)
      yield* connected
      const root = yield* say("between us", bob)
      const reply = yield* say("not for the bot", { ...bob, thread_ts: root })
      yield* eventually("it is stored", Effect.map(rowsOf(dataDir, reply), (rows) => rows.length === 1))
      // From here on the bot takes part in the thread.
      yield* say("<@U0BOT> come in", { ...bob, thread_ts: root })
      yield* eventually("it came in", Effect.map(answers("C0GENERAL"), (said) => said.length > 0))
      const [before] = yield* rowsOf(dataDir, reply)
      yield* during(gateway, say("and this", { ...bob, thread_ts: root }))
      yield* answered("C0GENERAL", "You said: and this")
      assert.deepStrictEqual(yield* rowsOf(dataDir, reply), [before])
      assert.lengthOf(yield* answers("C0GENERAL"), 2)
    })
  )

  test(
    "a message that is found in the history and delivered late as well is answered once",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* startGateway(yield* temporaryDirectory, echo)
      yield* connected
      // Slack has it for the next connection, and the history shows it at the same time.
      yield* slack.faults({ deliverWhileDown: true })
      yield* during(gateway, Effect.andThen(say("both"), say("<@U0BOT> mentioned", bob)))
      yield* answered("D0ALICE", "You said: both")
      yield* answered("C0GENERAL", "You said: mentioned")
      yield* eventually("the look is over", Effect.map(callsOf("conversations.history"), (calls) => calls >= 4))
      // Now the history is first, and Slack delivers it when it was answered.
      yield* slack.faults({ deliverWhileDown: false })
      const after = (yield* slack.journal).at(-1)?.n ?? 0
      yield* during(gateway, say("again"))
      yield* answered("D0ALICE", "You said: again")
      const lost = yield* slack.awaitJournal((entry) => entry._tag === "EnvelopeLost", { after })
      const event = "eventId" in lost ? lost.eventId ?? "" : ""
      assert.isTrue(yield* slack.redeliver(event))
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.eventId === event)
      yield* say("afterwards", bobsDm)
      yield* answered("D0BOB", "You said: afterwards")
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["You said: both", "You said: again"])
      assert.deepStrictEqual(yield* answers("C0GENERAL"), ["You said: mentioned"])
    })
  )

  test(
    "Slack's refusals for a while are waited for",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* startGateway(yield* temporaryDirectory, echo)
      yield* connected
      yield* during(gateway, Effect.andThen(say("hello"), say("<@U0BOT> hello", bob)))
      yield* answered("D0ALICE", "You said: hello")
      yield* slack.faults({
        rateLimit: [
          { method: "users.conversations", times: 1, retryAfterSeconds: 1 },
          { method: "conversations.history", times: 2, retryAfterSeconds: 1 }
        ]
      })
      yield* during(gateway, Effect.andThen(say("limited"), say("<@U0BOT> limited", bob)))
      yield* answered("D0ALICE", "You said: limited")
      yield* answered("C0GENERAL", "You said: limited")
      const refusals = (yield* slack.journal).filter((entry) =>
        entry._tag === "ApiCall" && entry.error === "ratelimited"
      )
      assert.lengthOf(refusals, 3)
      assert.deepStrictEqual(yield* alarmsOf(gateway), [])
    })
  )

  test(
    "a call that fails is made again, and nothing is lost by it",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const gateway = yield* startGateway(yield* temporaryDirectory, echo)
      yield* connected
      yield* slack.faults({ httpStatus: { method: "conversations.history", times: 1, status: 503 } })
      yield* during(gateway, Effect.andThen(say("hello"), say("<@U0BOT> hello", bob)))
      yield* answered("D0ALICE", "You said: hello")
      yield* answered("C0GENERAL", "You said: hello")
      assert.deepStrictEqual(yield* alarmsOf(gateway), [])
    })
  )
})

describe("a scope that the token lacks", () => {
  for (const scope of ["im:history", "im:read"]) {
    test(
      `${scope}: is named in an alarm while the rest goes on, and the alarm ends when it is there`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const gateway = yield* startGateway(yield* temporaryDirectory, echo)
        yield* connected
        yield* slack.faults({ missingScopes: [scope] })
        yield* during(gateway, Effect.andThen(say("unseen"), say("<@U0BOT> seen", bob)))
        yield* answered("C0GENERAL", "You said: seen")
        yield* eventually("the alarm", Effect.map(alarmsOf(gateway), (alarms) => alarms.length > 0))
        const alarms = yield* alarmsOf(gateway)
        assert.deepStrictEqual(alarms.map(({ code }) => code), ["catch-up-scope"])
        assert.include(alarms[0]?.text, `the bot token lacks ${scope};`)
        assert.deepStrictEqual(yield* answers("D0ALICE"), [])
        // Asked once, although there are two direct messages.
        const refusals = (yield* slack.journal).filter((entry) =>
          entry._tag === "ApiCall" && entry.error === "missing_scope"
        )
        assert.lengthOf(refusals, 1)
        yield* slack.faults({ missingScopes: null })
        yield* during(gateway, say("afterwards"))
        yield* eventually("no alarm", Effect.map(alarmsOf(gateway), (left) => left.length === 0))
        yield* eventually("answered", Effect.map(answers("D0ALICE"), (said) => said.join().includes("afterwards")))
      })
    )
  }
})

describe("the bounds", () => {
  test(
    "calls that are spent leave a part unseen, and an alarm says so",
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const gateway = yield* startGateway(dataDir, echo, { catchUpCalls: 5 })
      yield* connected
      yield* during(gateway, Effect.andThen(say("first"), say("<@U0BOT> too many", bob)))
      yield* answered("D0ALICE", "You said: first")
      yield* eventually("the alarm", Effect.map(alarmsOf(gateway), (alarms) => alarms.length > 0))
      const [alarm] = yield* alarmsOf(gateway)
      assert.strictEqual(alarm?.code, "catch-up")
      assert.match(alarm?.text ?? "", /was looked at \(calls 3\); look in Slack/)
      assert.deepStrictEqual(yield* answers("C0GENERAL"), [])
      assert.strictEqual((yield* callsOf("users.conversations")) + (yield* callsOf("conversations.history")), 5)
    })
  )

  test(
    "what is older than the age is not answered any more, and an alarm says so",
    Effect.gen(function*() {
      const gateway = yield* startGateway(yield* temporaryDirectory, echo, { catchUpAge: Duration.hours(1) })
      yield* connected
      yield* during(
        gateway,
        Effect.gen(function*() {
          yield* say("too old")
          yield* forward("2 hours")
          yield* say("fresh", bobsDm)
        })
      )
      yield* answered("D0BOB", "You said: fresh")
      yield* eventually("the alarm", Effect.map(alarmsOf(gateway), (alarms) => alarms.length > 0))
      assert.match((yield* alarmsOf(gateway))[0]?.text ?? "", /\(age 1\)/)
      assert.deepStrictEqual(yield* answers("D0ALICE"), [])
    })
  )
})

describe("a stop", () => {
  test(
    "in order, and a start after more than the threshold: what was said between is answered",
    Effect.gen(function*() {
      const dataDir = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(startGateway(dataDir, echo), scope)
      yield* connected
      yield* eventually("it knows", Effect.map(socketOf(first), (socket) => socket.disconnectedSince === null))
      yield* say("before")
      yield* answered("D0ALICE", "You said: before")
      yield* Scope.close(scope, Exit.void)
      const ts = yield* say("while it was down")
      yield* say("<@U0BOT> this too", bob)
      yield* forward("10 seconds")
      yield* startGateway(dataDir, echo)
      yield* answered("D0ALICE", "You said: while it was down")
      yield* answered("C0GENERAL", "You said: this too")
      yield* lookedAfter(dataDir, Number(ts) * 1_000)
      assert.deepStrictEqual(yield* answers("D0ALICE"), ["You said: before", "You said: while it was down"])
    })
  )

  test(
    "in the middle of a look is not held up by it, and the next start makes it again",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const dataDir = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(startGateway(dataDir, echo), scope)
      yield* connected
      yield* slack.faults({ rateLimit: { method: "conversations.history", retryAfterSeconds: 3_600 } })
      yield* during(first, say("in the middle"))
      yield* slack.awaitJournal((entry) => entry._tag === "ApiCall" && entry.error === "ratelimited")
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      yield* slack.faults({ rateLimit: null })
      yield* startGateway(dataDir, echo)
      yield* answered("D0ALICE", "You said: in the middle")
    })
  )
})
