/**
 * A conversation that has ended leaves nothing in memory: its name, and what was said in it, is in no map, no queue and
 * no closure. Asked of the whole heap, so that no room can be forgotten.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { text } from "node:stream/consumers"
import { getHeapSnapshot } from "node:v8"
import { advance, inRooms } from "../fixtures/rooms.ts"
import { rooms } from "./rooms.ts"

const conversations = 150

/** The strings of the heap that look like this, after a collection. */
const strings = (pattern: RegExp) =>
  Effect.promise(async () => {
    const snapshot: unknown = JSON.parse(await text(getHeapSnapshot()))
    const all = snapshot as { readonly strings: ReadonlyArray<string> }
    return all.strings.filter((one) => pattern.test(one) && one.length < 500)
  })

it.effect(
  "conversations that were answered and are silent leave nothing in the heap, however many they were",
  () =>
    Effect.gen(function*() {
      const { api, layer, say } = yield* rooms()
      yield* Effect.gen(function*() {
        for (let n = 0; n < conversations; n++) yield* say(`D7LEAK${n}`, `word7leak ${n}`)
        // And the next sweep.
        yield* advance("2 minutes", "3 seconds")
        assert.strictEqual(api.sent.length, conversations)
        api.sent.length = 0
        api.arrived.clear()
        // Some of the last that shared a batch, and these lines.
        assert.isAtMost((yield* strings(/7leak/i)).length, 30)
      }).pipe(inRooms(layer))
    }),
  60_000
)
