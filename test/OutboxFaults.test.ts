/** One fault of the network in the middle of three replies: in the end each is there once, in order. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { FaultPatch } from "slackwater/testing"
import { answers } from "./fixtures/gateway.ts"
import { faultsMet, place, status, test, threeReplies } from "./fixtures/outboxSlack.ts"

const once = { method: "chat.postMessage", times: 1 }
const after = { ...once, afterCommit: true }

const faults: ReadonlyArray<readonly [what: string, patch: FaultPatch]> = [
  ["a 429 that says when", { rateLimit: { ...once, retryAfterSeconds: 7 } }],
  ["a 429 that does not say when", { rateLimit: { ...once, retryAfterSeconds: null } }],
  ["thirty 429s in a row", { rateLimit: { ...once, times: 30, retryAfterSeconds: 1 } }],
  ["a reset before it takes effect", { resetBeforeCommit: once }],
  ["a reset after it took effect", { resetAfterCommit: once }],
  ["a reset after it took effect, and a history that lags", { resetAfterCommit: once, historyLagMs: 20_000 }],
  ["two resets, one before and one after it takes effect", { resetBeforeCommit: { ...once }, resetAfterCommit: once }],
  ["headers that never come", { stallHeaders: once }],
  ["headers that never come, and a history that lags", { stallHeaders: once, historyLagMs: 20_000 }],
  ["half an answer", { stallBody: once }],
  ["an answer that comes too late", { delayMs: { ...once, ms: 60_000 } }],
  ["a 500 before it takes effect", { httpStatus: { ...once, status: 500 } }],
  ["a 500 after it took effect", { httpStatus: { ...after, status: 500 } }],
  ["a 502 after it took effect", { httpStatus: { ...after, status: 502 } }],
  ["a 503 before it takes effect", { httpStatus: { ...once, status: 503 } }],
  ["a 503 after it took effect", { httpStatus: { ...after, status: 503 } }],
  ["thirty 503s in a row", { httpStatus: { ...once, times: 30, status: 503 } }],
  ["a 504 after it took effect", { httpStatus: { ...after, status: 504 } }],
  ["a page of HTML with 200 before it takes effect", { httpStatus: { ...once, status: 200 } }],
  ["a page of HTML with 200 after it took effect", { httpStatus: { ...after, status: 200 } }],
  ["an empty answer after it took effect", { httpStatus: { ...after, status: 200, body: "" } }]
]

describe("three replies", () => {
  for (const [what, patch] of faults) {
    test(
      `are posted once each and in order, whatever happens to the second: ${what}`,
      Effect.gen(function*() {
        const second = yield* threeReplies(patch)
        assert.isTrue(Exit.isSuccess(second))
        assert.deepStrictEqual(yield* answers(place.channel), ["one", "two", "three"])
        assert.deepInclude(yield* status, { delivered: 3, alarms: [] })
        const expected = Object.keys(patch).filter((name) => name !== "historyLagMs" && name !== "delayMs")
        assert.sameMembers(yield* faultsMet, expected)
      })
    )
  }
})
