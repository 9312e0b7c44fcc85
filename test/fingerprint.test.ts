import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { byWebCrypto, fingerprint } from "../src/fingerprint.ts"

it.effect("a fingerprint is the same by Node's hash and by Web Crypto, also of half a pair of UTF-16", () =>
  Effect.gen(function*() {
    for (const text of ["", "hello", "grüße 👋", "x".repeat(100_000), "\ud83d", "\udc4b\ud83d"]) {
      assert.strictEqual(yield* fingerprint(text), yield* byWebCrypto(text))
    }
    assert.strictEqual(yield* fingerprint("hello"), "2cf24dba5fb0a30e26e83b2ac5b9e29e")
  }))

it("a fingerprint waits for no thread", () => {
  assert.strictEqual(Effect.runSync(fingerprint("hello")), "2cf24dba5fb0a30e26e83b2ac5b9e29e")
})
