/** What every adapter of Workspace must do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Workspace } from "../../src/Workspace.ts"
import { Restart } from "./Restart.ts"

export const suite = (name: string, layer: Layer.Layer<Workspace | Restart>) =>
  describe(`Workspace on ${name}`, () => {
    it.effect("belongs to the first that was named, whoever asks later, also after a restart", () =>
      Effect.gen(function*() {
        const { belongsTo } = yield* Workspace
        assert.strictEqual(yield* belongsTo("T1"), "T1")
        assert.strictEqual(yield* belongsTo("T2"), "T1")
        yield* (yield* Restart).crash
        assert.strictEqual(yield* belongsTo("T2"), "T1")
        assert.strictEqual(yield* belongsTo("T1"), "T1")
      }).pipe(Effect.provide(layer)))
  })
