/** How streams begin, grow and end in the outbox, on every adapter. Part of OutboxStoreContract. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { Dispatch } from "../../src/Dispatch.ts"
import { OwnerId, type TurnId } from "../../src/Message.ts"
import type { MessageStore } from "../../src/MessageStore.ts"
import type { NewReply } from "../../src/OutboxStore.ts"
import { arrival, at, failure, key, post } from "../fixtures/messages.ts"
import { epoch } from "../fixtures/time.ts"
import { record } from "./OutboxRowsContract.ts"
import { claim, type Store, type Test } from "./OutboxStoreGuards.ts"
import { Restart } from "./Restart.ts"

const me = OwnerId.make("me")
const now = epoch

const start = post("s", "D1", { dispatch: { _tag: "StreamStart" } })
const append = (target: number, markdown: string): NewReply =>
  post(`a-${markdown}`, "D1", { target, interim: true, dispatch: { _tag: "StreamAppend", markdown } })
const stop = (target: number, text: string): NewReply =>
  post(`stop-${text}`, "D1", { target, dispatch: { _tag: "StreamStop", text } })

const running = Effect.fnUntraced(function*(messages: MessageStore["Service"]) {
  yield* messages.append(arrival())
  const { attempt, id: turn } = Option.getOrThrow(yield* messages.claim(key("D1"), me, now))
  return { turn, owner: me, attempt }
})

/** A stream that Slack has, begun by a turn. */
const begun = Effect.fnUntraced(function*(store: Store, messages: MessageStore["Service"]) {
  const run = yield* running(messages)
  const [row] = yield* store.enqueue([start], run, now)
  const id = row?.id ?? 0
  yield* claim(store)
  yield* store.delivered(id, me, at("5.5"), now)
  const add = (reply: NewReply) => Effect.map(store.enqueue([reply], run, now), ([row]) => row?.id ?? 0)
  return { run, id, add }
})

/** What is sent next. */
const next = (store: Store) => Effect.map(claim(store), ([row]) => row?.dispatch)

export const streamsContract = (test: Test) =>
  describe("a stream", () => {
    test("shows what was appended for sure, and its end says how much that is", (store, messages) =>
      Effect.gen(function*() {
        const { add, id } = yield* begun(store, messages)
        assert.strictEqual(yield* store.streamed(id), "")
        const one = yield* add(append(id, "one "))
        assert.deepStrictEqual(yield* next(store), { _tag: "StreamAppend", markdown: "one ", target: at("5.5") })
        assert.isNull(yield* store.streamed(id), "while it is on its way")
        yield* store.delivered(one, me, at("5.5"), now)
        assert.strictEqual(yield* store.streamed(id), "one ")
        yield* add(append(id, "two"))
        yield* add(stop(id, "one two three"))
        assert.isNull(yield* store.streamed(id), "once it is over")
        assert.deepStrictEqual(yield* next(store), {
          _tag: "StreamStop",
          text: "one two three",
          target: at("5.5"),
          shown: 4
        })
      }))

    for (const [error, shown] of [["RateLimited", ""], ["NotSent", ""], ["Ambiguous", null]] as const) {
      test(`shows ${shown === null ? "nobody knows what" : "no more"} after an append that ended ${error}`, (
        store,
        messages
      ) =>
        Effect.gen(function*() {
          const { add, id } = yield* begun(store, messages)
          const one = yield* add(append(id, "one"))
          yield* claim(store)
          yield* store.failed(one, me, failure("interim", error), now)
          assert.strictEqual(yield* store.streamed(id), shown)
          yield* add(stop(id, "one"))
          const end: Dispatch = { _tag: "StreamStop", text: "one", target: at("5.5") }
          assert.deepStrictEqual(yield* next(store), shown === null ? end : { ...end, shown: 0 })
        }))
    }

    test("with an end that says something else is set right as a whole", (store, messages) =>
      Effect.gen(function*() {
        const { add, id } = yield* begun(store, messages)
        const one = yield* add(append(id, "one"))
        yield* claim(store)
        yield* store.delivered(one, me, at("5.5"), now)
        yield* add(stop(id, "another"))
        assert.deepStrictEqual(yield* next(store), { _tag: "StreamStop", text: "another", target: at("5.5") })
      }))

    test("that could not begin is no dead letter, and its end is a post of the whole text", (store, messages) =>
      Effect.gen(function*() {
        const run = yield* running(messages)
        const [row] = yield* store.enqueue([start], run, now)
        const id = row?.id ?? 0
        yield* claim(store)
        yield* store.failed(id, me, failure("channel_type_not_supported", "Permanent"), now)
        assert.isNull(yield* store.streamed(id))
        assert.strictEqual((yield* store.counts).failed_terminal, 0)
        const [end] = yield* store.enqueue([append(id, "x"), stop(id, "whole")], run, now).pipe(
          Effect.map((rows) =>
            rows.slice(1)
          )
        )
        const { dispatch } = (yield* claim(store)).find((row) =>
          row.id === end?.id
        ) ?? {}
        assert.deepStrictEqual(dispatch, { _tag: "Post", text: "", markdown: "whole" })
        assert.deepInclude(yield* record(store, end?.id), { kind: "Post", state: "sending" })
        yield* (yield* Restart).crash
        assert.deepInclude(yield* record(store, end?.id), { state: "unknown" })
      }))

    test("whose end Slack would not take goes as a post of its own", (store, messages) =>
      Effect.gen(function*() {
        const { add, id } = yield* begun(store, messages)
        const end = yield* add(stop(id, "whole"))
        yield* claim(store)
        yield* store.notSent(end, me, failure("x"), { now, dueAt: now, countAttempt: false, degrade: true })
        assert.deepStrictEqual(yield* next(store), { _tag: "Post", text: "", markdown: "whole" })
      }))

    test("is stopped again after a crash, since stopping twice is as good as once", (store, messages) =>
      Effect.gen(function*() {
        const { add, id } = yield* begun(store, messages)
        const end = yield* add(stop(id, "whole"))
        yield* claim(store)
        yield* (yield* Restart).crash
        assert.deepInclude(yield* record(store, end), { state: "failed_retryable", attempts: 1 })
      }))

    const ends: ReadonlyArray<
      readonly [
        how: string,
        end: (messages: MessageStore["Service"], turn: TurnId) => Effect.Effect<unknown, unknown, Restart>
      ]
    > = [
      ["is done", (messages, turn) =>
        messages.complete(turn, me, [], now)],
      ["fails for good", (messages, turn) =>
        messages.fail(turn, me, "broken", [post("sorry")], now)],
      ["is superseded", (messages, turn) =>
        messages.supersede(turn, me, now)],
      [
        "dies with the process and does not run again",
        (messages, turn) =>
          Effect.gen(function*() {
            const next = OwnerId.make("next")
            yield* (yield* Restart).crash
            yield* messages.recover([next], now, 9)
            yield* messages.claim(key("D1"), next, now)
            yield* messages.fail(turn, next, "crashed", [], now)
          })
      ]
    ]
    for (const [how, end] of ends) {
      test(`that nobody stopped is stopped as it is when its turn ${how}`, (store, messages) =>
        Effect.gen(function*() {
          const { id, run } = yield* begun(store, messages)
          yield* Effect.orDie(Effect.mapError(end(messages, run.turn), String))
          const ended = (yield* store.list({}, { limit: 99 })).filter(({ target }) =>
            target === id
          )
          assert.deepStrictEqual(ended.map(({ kind, state }) => [kind, state]), [["StreamEnd", "queued"]])
        }))
    }

    test("that was stopped is not stopped again, and reads as what it says in the end", (store, messages) =>
      Effect.gen(function*() {
        const { add, id, run } = yield* begun(store, messages)
        yield* add(stop(id, "whole"))
        yield* messages.complete(run.turn, me, [], now)
        assert.strictEqual((yield* store.counts).queued, 1)
        const history = yield* messages.history(key("D1"), 9)
        assert.deepStrictEqual(
          history.flatMap((entry) =>
            entry._tag === "Reply" ? [entry.text] : []
          ),
          ["whole"]
        )
      }))
  })
