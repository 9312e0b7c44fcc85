/** Slack answers the second of three replies with `ok:false`: each class of error has its own end. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Outbox } from "slackwater"
import { type FaultPatch, LocalSlack } from "slackwater/testing"
import { answers } from "./fixtures/gateway.ts"
import { eventually, isSettled, place, posts, status, test, threeReplies } from "./fixtures/outboxSlack.ts"

const once = { method: "chat.postMessage", times: 1 }
const error = (code: string, more = {}): FaultPatch => ({ error: { ...once, code, ...more } })
const unreadable: FaultPatch = { error: { method: "conversations.replies", code: "missing_scope" } }

const delivered: ReadonlyArray<readonly [what: string, patch: FaultPatch]> = [
  ["not sent, for now (org_login_required)", error("org_login_required")],
  ["not sent, for now (accesslimited)", error("accesslimited", { times: 20 })],
  ["not sent, this one only (external_channel_migrating)", error("external_channel_migrating", { times: 20 })],
  ["rate limited (ratelimited in a 200)", error("ratelimited", { times: 20 })],
  ["rate limited (message_limit_exceeded)", error("message_limit_exceeded")],
  ["ambiguous and done (fatal_error)", error("fatal_error", { afterCommit: true })],
  ["ambiguous and not done (internal_error)", error("internal_error")],
  ["ambiguous and done (service_unavailable)", error("service_unavailable", { afterCommit: true })],
  ["ambiguous and not done (service_unavailable)", error("service_unavailable")],
  ["ambiguous: a code that nobody knows, and done", error("brand_new_error", { afterCommit: true })],
  ["ambiguous: a code that nobody knows, and not done", error("brand_new_error")],
  ["the token (token_revoked), which is taken again later", error("token_revoked")],
  ["an administrator's setting (missing_scope), which is changed later", error("missing_scope", { times: 5 })]
]

describe("three replies of which Slack refuses the second", () => {
  for (const [what, patch] of delivered) {
    test(
      `are there once each and in order in the end: ${what}`,
      Effect.gen(function*() {
        assert.isTrue(Exit.isSuccess(yield* threeReplies(patch)))
        assert.deepStrictEqual(yield* answers(place.channel), ["one", "two", "three"])
        assert.deepInclude(yield* status, { delivered: 3, paused: false, alarms: [] })
      })
    )
  }

  for (
    const [what, code] of [
      ["the target is gone", "is_archived"],
      ["the content is refused", "msg_too_long"],
      ["the call is wrong", "invalid_arg_name"]
    ] as const
  ) {
    test(
      `for good (${what}: ${code}) are two, and the second says why it ended`,
      Effect.gen(function*() {
        const second = yield* threeReplies(error(code))
        assert.include(JSON.stringify(second), code)
        assert.deepStrictEqual(yield* answers(place.channel), ["one", "three"])
        assert.deepInclude(yield* status, { delivered: 2, failed_terminal: 1 })
        assert.strictEqual((yield* posts).length, 3, "it was asked for once")
      })
    )
  }

  test(
    "for its blocks has it as text, once and in its place",
    Effect.gen(function*() {
      yield* threeReplies(error("invalid_blocks"), { blocks: [{ type: "divider" }] })
      assert.deepStrictEqual(yield* answers(place.channel), ["one", "two", "three"])
    })
  )
})

describe("where history cannot be read, what may have arrived is held and the others go on", () => {
  for (
    const [what, patch, there] of [
      ["and it had", { resetAfterCommit: once }, ["one", "two", "three"]],
      ["and it had not", { resetBeforeCommit: once }, ["one", "three"]]
    ] as const
  ) {
    test(
      what,
      Effect.gen(function*() {
        const second = yield* threeReplies({ ...patch, ...unreadable })
        assert.include(JSON.stringify(second), "ReplyUnknown")
        assert.deepStrictEqual(yield* answers(place.channel), [...there])
        assert.deepInclude(yield* status, { delivered: 2, unknown: 1, held: 1, alarms: ["reply-unknown"] })
      })
    )
  }
})

describe("what is done already", () => {
  const changes = [
    ["a reaction that is there", "reactions.add", "already_reacted"],
    ["a message that is gone", "chat.delete", "message_not_found"]
  ] as const
  for (const [what, method, code] of changes) {
    test(
      `(${what}) is as good as done, and what stands behind it goes on`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        const outbox = yield* Outbox
        yield* slack.faults({ error: { method, times: 1, code } })
        const first = yield* outbox.enqueue({ ...place, text: "first" })
        const change = yield* (method === "chat.delete" ? first.delete() : first.react("eyes"))
        yield* outbox.enqueue({ ...place, text: "behind" })
        yield* eventually("an end", isSettled)
        yield* change.delivered
        assert.deepInclude(yield* status, { delivered: 3, failed_terminal: 0 })
        assert.strictEqual((yield* answers(place.channel)).at(-1), "behind")
      })
    )
  }
})
