/** What every adapter of Spool must do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Spool } from "../../src/Spool.ts"

const read = (name: string) =>
  Effect.flatMap(Spool, (spool) => Effect.flatMap(spool.read(name), (blob) => Effect.promise(() => blob.text())))

export const suite = (name: string, layer: Layer.Layer<Spool, unknown>) =>
  describe(`Spool on ${name}`, () => {
    const test = <A, E>(sentence: string, body: (spool: Spool["Service"]) => Effect.Effect<A, E, Spool>) =>
      it.live(sentence, () => Effect.flatMap(Spool, body).pipe(Effect.provide(layer, { local: true })))

    test("reads what was kept, and tells contents apart", (spool) =>
      Effect.gen(function*() {
        const one = yield* spool.stage("grüße", 99)
        const same = yield* spool.stage(new TextEncoder().encode("grüße"), 99)
        assert.strictEqual(one.bytes, 7)
        assert.strictEqual(one.digest, same.digest)
        assert.notStrictEqual(one.digest, (yield* spool.stage("others", 99)).digest)
        yield* spool.keep(one, "a")
        assert.strictEqual(yield* read("a"), "grüße")
      }))

    test("keeps a name once", (spool) =>
      Effect.gen(function*() {
        yield* spool.keep(yield* spool.stage("first", 99), "a")
        yield* spool.keep(yield* spool.stage("second", 99), "a")
        assert.strictEqual(yield* read("a"), "first")
        assert.deepStrictEqual(yield* spool.list(Infinity), ["a"])
      }))

    test("takes what is just not too large, and leaves nothing of what is", (spool) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(spool.stage("12345", 4))
        assert.deepInclude(error.reason, { _tag: "TooLarge", limit: 4 })
        assert.isEmpty(yield* spool.list(Infinity))
        yield* spool.stage("1234", 4)
      }))

    test("removes what is there, and what is not", (spool) =>
      Effect.gen(function*() {
        yield* spool.keep(yield* spool.stage("x", 9), "a")
        yield* spool.remove("a")
        yield* spool.remove("a")
        assert.isEmpty(yield* spool.list(Infinity))
        assert.strictEqual((yield* Effect.flip(spool.read("a"))).reason._tag, "SpoolUnavailable")
      }))

    test("lists copies too, and only what is older than the moment", (spool) =>
      Effect.gen(function*() {
        yield* spool.stage("x", 9)
        assert.strictEqual((yield* spool.list(Date.now() + 60_000)).length, 1)
        assert.isEmpty(yield* spool.list(Date.now() - 60_000))
      }))

    test("names no path when a file cannot be read", (spool) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(spool.stage({ path: "/nowhere/secret" }, 9))
        assert.strictEqual(error.message, "the file cannot be kept or read: ENOENT")
      }))
  })
