/** What each rejection of Slack's real client means: one row of the measured table a test. */
import { assert, describe, it, layer } from "@effect/vitest"
import { WebClient } from "@slack/web-api"
import { Effect } from "effect"
import { createServer, type Server } from "node:net"
import { LocalSlack } from "slackwater/testing"
import { classify } from "../../src/slack/classify.ts"
import { silent } from "../../src/slack/silent.ts"
import type { SlackApiReason } from "../../src/SlackApi.ts"

type Tag = SlackApiReason["_tag"]

const client = (slackApiUrl: string, timeout = 2_000) =>
  new WebClient("xoxb-1", {
    slackApiUrl,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout,
    logger: silent
  })

const post = (web: WebClient) => () => web.apiCall("chat.postMessage", { channel: "C0GENERAL", text: "x" })

/** How a call that must fail is classified. */
const outcome = (call: () => Promise<unknown>) => Effect.flip(Effect.tryPromise({ try: call, catch: classify }))

/** Posts while a fault is on. */
const underFault = Effect.fnUntraced(function*(
  fault: Parameters<LocalSlack["Service"]["faults"]>[0],
  timeout?: number
) {
  const slack = yield* LocalSlack
  yield* slack.clearFaults
  yield* slack.faults(fault)
  const reason = yield* outcome(post(client(slack.apiUrl, timeout)))
  yield* slack.clearFaults
  return reason
})

/** A server that answers every connection with these bytes and then drops it. */
const rawServer = (answer: string) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () => socket.write(answer, () => socket.resetAndDestroy()))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const portOf = (server: Server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const method = "chat.postMessage"

/** Transport rows: the fault, the class. */
const transport: ReadonlyArray<
  readonly [row: string, fault: Parameters<LocalSlack["Service"]["faults"]>[0], tag: Tag, timeout?: number]
> = [
  ["a reset before Slack did anything may have arrived", { resetBeforeCommit: { method } }, "Ambiguous"],
  ["a reset after Slack did it may have arrived", { resetAfterCommit: { method } }, "Ambiguous"],
  ["a timeout before the answer may have arrived", { delayMs: { method, ms: 1_000 } }, "Ambiguous", 100],
  ["an answer whose body stalls may have arrived", { stallBody: { method } }, "Ambiguous", 200],
  ["HTTP 500 before the commit may have arrived", { httpStatus: { method, status: 500 } }, "Ambiguous"],
  [
    "HTTP 503 after the commit may have arrived",
    { httpStatus: { method, status: 503, afterCommit: true } },
    "Ambiguous"
  ],
  ["HTTP 404 may have arrived", { httpStatus: { method, status: 404 } }, "Ambiguous"],
  ["a page of HTML with status 200 may have arrived", { httpStatus: { method, status: 200 } }, "Ambiguous"],
  ["an empty answer may have arrived", { httpStatus: { method, status: 200, body: "" } }, "Ambiguous"],
  ["an answer of null may have arrived", { httpStatus: { method, status: 200, body: "null" } }, "Ambiguous"],
  [
    "ok:false without a code may have arrived",
    { httpStatus: { method, status: 200, body: "{\"ok\":false}" } },
    "Ambiguous"
  ],
  [
    "a code that is no text may have arrived",
    { httpStatus: { method, status: 200, body: "{\"ok\":false,\"error\":{\"a\":1}}" } },
    "Ambiguous"
  ]
]

/** slack.dev's codes, by what they mean. */
const codes: ReadonlyArray<readonly [Tag, string]> = [
  ["RateLimited", "ratelimited rate_limited message_limit_exceeded"],
  ["Ambiguous", "fatal_error internal_error service_unavailable request_timeout a_code_nobody_has_seen"],
  ["NotSent", "team_added_to_org org_login_required external_channel_migrating accesslimited"],
  [
    "Credentials",
    `not_authed invalid_auth account_inactive token_revoked token_expired not_allowed_token_type
    user_removed_from_team team_disabled two_factor_setup_required app_access_restricted enterprise_is_restricted
    is_bot forbidden_team`
  ],
  [
    "Configuration",
    `missing_scope no_permission access_denied ekm_access_denied messages_tab_disabled restricted_action
    restricted_action_read_only_channel restricted_action_thread_only_channel restricted_action_non_threadable_channel
    restricted_action_thread_locked send_on_behalf_not_allowed`
  ],
  [
    "Permanent",
    `channel_not_found is_archived not_in_channel cannot_reply_to_message team_not_found thread_not_found
    channel_is_limited_access method_not_supported_for_channel_type user_not_found user_disabled user_not_visible
    no_text msg_too_long msg_blocks_too_long msg_blocks_too_many invalid_blocks invalid_blocks_format
    invalid_attachments too_many_attachments attachment_payload_limit_exceeded markdown_text_conflict
    invalid_metadata_format invalid_metadata_schema metadata_too_large missing_file_data too_many_contact_cards
    slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked slack_connect_lists_sharing_blocked
    slack_connect_clip_sharing_blocked invalid_arg_name invalid_array_arg invalid_charset invalid_form_data
    invalid_post_type missing_post_type missing_args as_user_not_supported method_deprecated deprecated_endpoint
    unknown_method invalid_thread_ts duplicate_channel_not_found duplicate_message_not_found draft_not_found`
  ]
]

describe("what a rejection means", () => {
  layer(LocalSlack.layer(), { excludeTestServices: true })((it) => {
    for (const [row, fault, tag, timeout] of transport) {
      it.effect(row, () =>
        Effect.gen(function*() {
          const reason = yield* underFault(fault, timeout)
          assert.strictEqual(reason._tag, tag, JSON.stringify(reason))
        }))
    }

    it.effect("429 with Retry-After was not sent and says when", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ rateLimit: { method, retryAfterSeconds: 7 } })
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 7_000 })
      }))

    it.effect("429 without Retry-After was not sent and waits for a while", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ rateLimit: { method, retryAfterSeconds: null } })
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 5_000 })
      }))

    it.effect("429 with a Retry-After of zero does not ask again at once", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ rateLimit: { method, retryAfterSeconds: 0 } })
        assert.strictEqual(reason._tag, "RateLimited")
        assert.isAbove(reason._tag === "RateLimited" ? reason.retryAfterMs : 0, 0)
      }))

    for (const [tag, list] of codes) {
      it.effect(`ok:false is ${tag} for each of its codes`, () =>
        Effect.gen(function*() {
          const wrong: Array<string> = []
          for (const code of list.trim().split(/\s+/)) {
            const reason = yield* underFault({ error: { method, code } })
            if (reason._tag !== tag) wrong.push(`${code}: ${reason._tag}`)
          }
          assert.deepStrictEqual(wrong, [])
        }))
    }

    it.effect("a missing scope names the scope that is needed", () =>
      Effect.gen(function*() {
        const body = JSON.stringify({ ok: false, error: "missing_scope", needed: "chat:write", provided: "identify" })
        const reason = yield* underFault({ httpStatus: { method, status: 200, body } })
        assert.deepInclude(reason, { _tag: "Configuration", code: "missing_scope", needed: "chat:write" })
      }))

    it.effect("nothing of an answer that makes no sense gets into the reason", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ httpStatus: { method, status: 200, body: "<html>xoxb-s3cret</html>" } })
        assert.notInclude(JSON.stringify(reason), "s3cret")
      }))
  })

  it.live("an answer that is cut half-way may have arrived", () =>
    Effect.gen(function*() {
      const server = yield* rawServer("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ok\":tr")
      const reason = yield* outcome(post(client(`http://127.0.0.1:${portOf(server)}/api/`)))
      assert.strictEqual(reason._tag, "Ambiguous")
    }))

  it.live("a redirect may have arrived", () =>
    Effect.gen(function*() {
      const server = yield* rawServer(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
      )
      const reason = yield* outcome(post(client(`http://127.0.0.1:${portOf(server)}/api/`)))
      assert.strictEqual(reason._tag, "Ambiguous")
    }))

  it.live("a refused connection was not sent", () =>
    Effect.gen(function*() {
      const port = yield* Effect.scoped(Effect.map(rawServer(""), portOf))
      for (const host of ["127.0.0.1", "localhost"]) {
        const reason = yield* outcome(post(client(`http://${host}:${port}/api/`)))
        assert.deepInclude(reason, { _tag: "NotSent", detail: "ECONNREFUSED" })
      }
    }))

  it.live("a name that cannot be resolved was not sent", () =>
    Effect.map(
      outcome(post(client("http://slack.invalid/api/", 5_000))),
      (reason) => assert.strictEqual(reason._tag, "NotSent", JSON.stringify(reason))
    ))

  for (
    const thrown of [undefined, null, "text", new Error("boom"), new TypeError("terminated"), { code: "ECONNREFUSED" }]
  ) {
    it(`anything unknown may have arrived: ${String(thrown)}`, () => {
      assert.strictEqual(classify(thrown)._tag, "Ambiguous")
    })
  }
})
