/**
 * No message is stranded, whatever the order in which appends, wake-ups, ends of turns and the dispatcher meet.
 *
 * The real dispatcher over the real store, under a scheduler that yields everywhere. Time stands still, so that no sweep
 * mends what was missed.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import type { Mode } from "../src/GatewayConfig.ts"
import { bring, inbox, inConversations, say } from "./fixtures/conversationsRoom.ts"
import { settle } from "./fixtures/rooms.ts"
import { seededScheduler } from "./fixtures/seededScheduler.ts"

const people = 2
const conversations = ["D1", "D2"]
/** Few, so that a message often is the last one and nothing that comes later covers up for it. */
const messagesOf = (seed: number) => 1 + seed % 3

type Speaks = Effect.Services<ReturnType<typeof say>>

/** People who talk to two conversations at once, each waiting for nobody. */
const crowd = Effect.fnUntraced(function*(messages: number, speak: typeof say | typeof bring) {
  const talking = yield* Effect.forEach(
    Array.from({ length: people }, (_, person) => person),
    (person) =>
      Effect.forkChild(Effect.forEach(
        Array.from({ length: messages }, (_, n) => n),
        (n): Effect.Effect<unknown, unknown, Speaks> =>
          speak(conversations[(person + n) % 2] ?? "D1", `${person}.${n}`, person * messages + n),
        { discard: true }
      ))
  )
  yield* Effect.forEach(talking, Fiber.join)
  yield* settle
})

/** One run: what each conversation's turns were given, and how many ran at once at most. */
const run = (seed: number, mode: Mode, speak: typeof say | typeof bring = say) => {
  const given = new Map<string, Array<string>>()
  const active = new Map<string, number>()
  let together = 0
  return inConversations(
    (turn) =>
      Effect.gen(function*() {
        const running = (active.get(turn.conversation) ?? 0) + 1
        active.set(turn.conversation, running)
        together = Math.max(together, running)
        yield* Effect.yieldNow
        yield* Effect.yieldNow
        given.set(turn.conversation, [
          ...given.get(turn.conversation) ?? [],
          ...turn.messages.map((message) => message.text)
        ])
      }).pipe(
        Effect.ensuring(Effect.sync(() => active.set(turn.conversation, (active.get(turn.conversation) ?? 1) - 1)))
      ),
    () =>
      Effect.gen(function*() {
        yield* crowd(messagesOf(seed), speak)
        const { done } = yield* inbox
        return { done, given, together }
      }),
    { mode, concurrency: 1 + seed % 3 }
  ).pipe(Effect.provideService(Scheduler.Scheduler, seededScheduler(seed)))
}

const modes = ["collect", "followup", "steer", "interrupt"] as const

it.effect(
  "nor where messages are begun at once: each is handled, and one turn of a conversation at a time",
  () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 60; seed++) {
        const mode = modes[seed % 4] ?? "collect"
        const { done, given, together } = yield* run(seed, mode, bring)
        const said = people * messagesOf(seed)
        assert.strictEqual(done, said, `seed ${seed}, mode ${mode}: stranded`)
        assert.strictEqual(together, 1, `seed ${seed}, mode ${mode}: two turns of one conversation at once`)
        if (mode !== "interrupt") {
          assert.strictEqual([...given.values()].flat().length, said, `seed ${seed}: handled twice`)
        }
      }
    }),
  60_000
)

for (const mode of modes) {
  it.effect(`mode ${mode}: no message is stranded between the last look for more and the end of a turn`, () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 60; seed++) {
        const { done, given, together } = yield* run(seed, mode)
        const said = people * messagesOf(seed)
        assert.strictEqual(done, said, `seed ${seed}: stranded`)
        assert.strictEqual(together, 1, `seed ${seed}: two turns of one conversation at once`)
        if (mode === "interrupt") continue
        const heard = [...given.values()].flat()
        assert.strictEqual(heard.length, said, `seed ${seed}: handled twice`)
      }
    }))
}

/** Two messages that come one after the other; the first turn waits for ever, and the second message ends it. */
const stopped = (seed: number) => {
  let running = 0
  let together = 0
  return inConversations(
    ({ messages }) =>
      Effect.suspend(() => {
        together = Math.max(together, ++running)
        return messages.length < 2 ? Effect.never : Effect.void
      }).pipe(Effect.ensuring(Effect.sync(() => running -= 1))),
    () =>
      Effect.gen(function*() {
        const first = yield* Effect.forkChild(say("D1", "first", 1))
        const second = yield* Effect.forkChild(say("D1", "second", 2))
        yield* Effect.forEach([first, second], Fiber.join)
        yield* settle
        const { done } = yield* inbox
        return { done, running, together }
      }),
    { mode: "interrupt" }
  ).pipe(Effect.provideService(Scheduler.Scheduler, seededScheduler(seed)))
}

it.effect(
  "mode interrupt: a handler that is stopped does not run on beside the next, however early it is stopped",
  () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 150; seed++) {
        assert.deepStrictEqual({ seed, ...(yield* stopped(seed)) }, { seed, done: 2, running: 0, together: 1 })
      }
    }),
  60_000
)
