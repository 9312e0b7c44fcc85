/** Tokens, sessions and wrong guesses, in virtual time. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../src/Admission.ts"
import { logged } from "./fixtures/rooms.ts"
import { settings } from "./fixtures/stores.ts"
import { epoch } from "./fixtures/time.ts"

const token = "5ecret-admin"
const given = { adminToken: Redacted.make(token), allowedHosts: [] }

const withAdmission = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    TestClock.setTime(epoch),
    Effect.provide(test, Layer.fresh(Admission.layer.pipe(Layer.provide(settings(given)))))
  )

it.effect("takes the token and nothing that is like it", () =>
  withAdmission(Effect.gen(function*() {
    const { check } = yield* Admission
    assert.strictEqual(yield* check(token, "a"), "right")
    for (const guess of ["", "5ecret-admi", "5ecret-admin ", "5ECRET-ADMIN", "<redacted>"]) {
      assert.strictEqual(yield* check(guess, "a"), "wrong", guess)
    }
  })))

it.effect("without a token nothing is right", () =>
  withAdmission(Effect.gen(function*() {
    const { check, hasToken, renew } = yield* Admission
    yield* renew({ ...given, adminToken: null })
    assert.isFalse(yield* hasToken)
    for (const guess of ["", "null", token]) assert.strictEqual(yield* check(guess, "a"), "wrong")
  })))

it.effect("an address that guesses is held up for seconds, others are not", () =>
  withAdmission(Effect.gen(function*() {
    const { check } = yield* Admission
    for (let n = 0; n < 10; n++) assert.strictEqual(yield* check("guess", "a"), "wrong")
    assert.strictEqual(yield* check(token, "a"), "limited")
    assert.strictEqual(yield* check(token, "b"), "right")
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* check("guess", "a"), "wrong")
    assert.strictEqual(yield* check("guess", "a"), "limited")
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* check(token, "a"), "right")
  })))

it.effect("of many guesses at once each one counts, and the right token costs nothing", () =>
  withAdmission(Effect.gen(function*() {
    const { check } = yield* Admission
    for (let n = 0; n < 20; n++) assert.strictEqual(yield* check(token, "a"), "right")
    const guesses = Array.from({ length: 30 }, () => check("guess", "a"))
    const verdicts = yield* Effect.all(guesses, { concurrency: "unbounded" })
    assert.strictEqual(verdicts.filter((verdict) => verdict === "wrong").length, 10)
  })))

it.effect("guesses from very many addresses are held up together", () =>
  withAdmission(Effect.gen(function*() {
    const { check } = yield* Admission
    for (let n = 0; n < 1_010; n++) yield* check("guess", `address ${n}`)
    assert.strictEqual(yield* check(token, "one more"), "limited")
    assert.strictEqual(yield* check(token, "address 1"), "right")
  })))

it.effect("wrong tokens are logged once a minute, with where they came from and without what they were", () => {
  const { layer, lines } = logged()
  return withAdmission(Effect.gen(function*() {
    const { check } = yield* Admission
    for (let n = 0; n < 5; n++) yield* check("5ecret-guess", "192.0.2.1")
    yield* TestClock.adjust("1 minute")
    yield* check("5ecret-guess", "192.0.2.1")
    assert.deepStrictEqual(lines, Array.from({ length: 2 }, () => "Warn a wrong admin token was sent"))
  })).pipe(Effect.provide(layer))
})

it.effect("a session ends after twelve hours, by its end, or when the token changes", () =>
  withAdmission(Effect.gen(function*() {
    const { close, knows, open, renew } = yield* Admission
    const [a, b, c] = [yield* open, yield* open, yield* open]
    assert.strictEqual(new Set([a, b, c, token]).size, 4)
    yield* close(b)
    assert.deepStrictEqual([yield* knows(a), yield* knows(b), yield* knows("")], [true, false, false])
    yield* renew(given)
    assert.isTrue(yield* knows(a))
    yield* TestClock.adjust("11 hours")
    const d = yield* open
    yield* TestClock.adjust("1 hour")
    assert.deepStrictEqual([yield* knows(a), yield* knows(d)], [false, true])
    yield* renew({ ...given, adminToken: Redacted.make("5ecret-other") })
    assert.isFalse(yield* knows(d))
  })))

it.effect("sessions are bounded: one too many ends the oldest", () =>
  withAdmission(Effect.gen(function*() {
    const { knows, open } = yield* Admission
    const first = yield* open
    const second = yield* open
    for (let n = 0; n < 63; n++) yield* open
    assert.deepStrictEqual([yield* knows(first), yield* knows(second)], [false, true])
  })))
