/** What Slack's words about a connection mean, and what a person is told to do. */
import { assert, describe, it } from "@effect/vitest"
import { isRefusal, type Meaning, ofDisconnect, ofFailure } from "../src/Endings.ts"
import { Ambiguous, Configuration, Credentials, NotSent, RateLimited, SlackApiError } from "../src/SlackApi.ts"
import { Refused, SlackConnectionError, TooManyRequests, TurnedAway, Unreachable } from "../src/SlackConnection.ts"

const ofConnection = (reason: SlackConnectionError["reason"]) => ofFailure(new SlackConnectionError({ reason }))
const ofAuthTest = (reason: SlackApiError["reason"]) => ofFailure(new SlackApiError({ method: "auth.test", reason }))
const remedyOf = (meaning: Meaning) => meaning._tag === "Again" ? "" : meaning.remedy

describe("a refusal", () => {
  const remedies: ReadonlyArray<readonly [code: string, remedy: RegExp]> = [
    ["link_disabled", /switch it on under Socket Mode/],
    ["missing_scope", /connections:write.*set SLACK_APP_TOKEN/],
    ["invalid_auth", /does not know the app-level token.*set SLACK_APP_TOKEN/],
    ["not_authed", /does not know the app-level token.*set SLACK_APP_TOKEN/],
    ["not_allowed_token_type", /SLACK_APP_TOKEN holds a token of another kind.*xapp-/],
    ["token_revoked", /revoked the app-level token.*make a new one and set SLACK_APP_TOKEN/],
    ["token_expired", /over for the app-level token.*make a new one and set SLACK_APP_TOKEN/],
    ["account_inactive", /install the app again/],
    ["team_disabled", /install the app again/],
    ["app_access_restricted", /ask one of its administrators/],
    ["forbidden_team", /ask one of its administrators/],
    ["two_factor_setup_required", /two-factor/]
  ]
  for (const [code, remedy] of remedies) {
    it(`names its code and its remedy: ${code}`, () => {
      const meaning = ofConnection(new Refused({ code }))
      assert.strictEqual(meaning._tag, "Refused")
      assert.include(remedyOf(meaning), `(${code})`)
      assert.match(remedyOf(meaning), remedy)
      assert.isTrue(isRefusal(code))
    })
  }

  it("of the bot token names that one", () => {
    for (const code of ["invalid_auth", "token_revoked", "not_allowed_token_type"]) {
      const remedy = remedyOf(ofAuthTest(new Credentials({ code })))
      assert.include(remedy, "SLACK_BOT_TOKEN")
      assert.notInclude(remedy, "SLACK_APP_TOKEN")
    }
    const scope = remedyOf(ofAuthTest(new Configuration({ code: "missing_scope" })))
    assert.match(scope, /bot token lacks a scope/)
  })

  it("that nobody knows says where to look", () => {
    for (const code of ["never_seen", "constructor", "__proto__"]) {
      assert.isFalse(isRefusal(code))
      assert.match(remedyOf(ofConnection(new Refused({ code }))), /check the app's tokens, scopes and Socket Mode/)
    }
  })
})

describe("anything else", () => {
  it("that is the network's or Slack's own trouble is tried again", () => {
    for (
      const meaning of [
        ofConnection(new Unreachable({ detail: "ENOTFOUND" })),
        ofAuthTest(new NotSent({ detail: "ECONNREFUSED" })),
        ofAuthTest(new Ambiguous({ detail: "HTTP 503" }))
      ]
    ) assert.deepStrictEqual(meaning, { _tag: "Again", afterMs: 0 })
  })

  it("that is a rate limit is tried again when Slack says", () => {
    assert.deepStrictEqual(ofConnection(new TooManyRequests({ retryAfterMs: 42 })), { _tag: "Again", afterMs: 42 })
    assert.deepStrictEqual(ofAuthTest(new RateLimited({ retryAfterMs: 43 })), { _tag: "Again", afterMs: 43 })
  })

  it("in a disconnect frame asks for another connection, also when it came instead of the hello", () => {
    for (const reason of ["warning", "refresh_requested", "closed", "never_seen", ""]) {
      assert.strictEqual(ofDisconnect(reason)._tag, "Again")
      assert.strictEqual(ofConnection(new TurnedAway({ reason }))._tag, "Again")
    }
    for (const  of of[ofDisconnect, (reason: string) => ofConnection(new TurnedAway({ reason }))]) {
      assert.strictEqual(of("too_many_websockets")._tag, "Crowded")
      assert.strictEqual(of("link_disabled")._tag, "Refused")
    }
  })
})
