/** The limit in the benchmark is one only as long as it does what the stores do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { messageAt, replyTo } from "../../bench/compare/ways/message.ts"
import { recorded } from "../../bench/compare/ways/recorded.ts"
import { textFor, texts } from "../../bench/compare/ways/statements.ts"
import { OwnerId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { stores } from "../fixtures/stores.ts"

const owner = OwnerId.make("bench")
const now = 1_777_777_777_777
const plain = (text: string) => text.replaceAll(/\s+/g, " ").trim()

/** A life that is begun with its insert, and one that waits and is claimed. */
const lives = Effect.gen(function*() {
  const store = yield* MessageStore
  for (const [n, begins] of [[1, true], [2, false]] as const) {
    const { keys, message } = messageAt(n)
    const appended = yield* store.append({
      message,
      keys,
      receivedAt: now,
      dueAt: now,
      ...(begins ? { claim: owner } : {})
    })
    const [turn] = appended._tag === "Queued" && appended.claimed !== undefined
      ? [appended.claimed]
      : Option.toArray(yield* store.claim(message.conversation, owner, now))
    assert.isDefined(turn)
    if (turn !== undefined) yield* store.complete(turn.id, owner, [replyTo(turn.id, turn.conversation)], now)
  }
})

describe("the limit in the benchmark", () => {
  it("runs the statements of the stores and no others", async () => {
    const asked = await recorded(() => Effect.runPromise(Effect.provide(lives, stores)))
    const ofStores = new Set(asked.map(({ text }) => plain(text)).filter((text) => / slackwater_(?!schema)/.test(text)))
    const size = (name: string) => ["knownKeys", "insertKeys"].includes(name) ? 2 : 1
    const ofLimit = new Set(Object.entries(texts).map(([name, text]) => plain(textFor(text, size(name)))))
    const created = [...ofStores].filter((text) => !/^(CREATE|ALTER|DROP) /.test(text))
    assert.deepStrictEqual(created.toSorted(), [...ofLimit].toSorted())
  })
})
