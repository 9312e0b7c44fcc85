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

const method = "chat.postMessage"
const target = { channel: "C0GENERAL", text: "x" }
const post = (web: WebClient) => () => web.apiCall(method, target)

/** How a call that must fail is classified. */
const outcome = (call: () => Promise<unknown>, name = method) =>
  Effect.flip(Effect.tryPromise({ try: call, catch: (error) => classify(error, name) }))

/** Posts, or calls another method, while a fault is on. */
const underFault = Effect.fnUntraced(function*(
  fault: Parameters<LocalSlack["Service"]["faults"]>[0],
  { name = method, timeout }: { readonly name?: string; readonly timeout?: number | undefined } = {}
) {
  const slack = yield* LocalSlack
  yield* slack.clearFaults
  yield* slack.faults(fault)
  const reason = yield* outcome(() => client(slack.apiUrl, timeout).apiCall(name, target), name)
  yield* slack.clearFaults
  return reason
})

/** A server that answers every connection with these bytes and then drops it, or ends it as one does. */
const rawServer = (answer: string, end: "reset" | "end" = "reset") =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () =>
          end === "end" ? socket.end(answer) : socket.write(answer, () => socket.resetAndDestroy()))
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const okWith = (body: string, headers = "") =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`

const portOf = (server: Server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

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
  ["HTTP 503 without a body may have arrived", { httpStatus: { method, status: 503, body: "" } }, "Ambiguous"],
  [
    "HTTP 503 with Slack's own code may have arrived",
    { httpStatus: { method, status: 503, body: "{\"ok\":false,\"error\":\"service_unavailable\"}" } },
    "Ambiguous"
  ],
  ["HTTP 502 with a proxy's page may have arrived", { httpStatus: { method, status: 502 } }, "Ambiguous"],
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
  [
    "Ambiguous",
    `fatal_error internal_error service_unavailable request_timeout update_failed messaging_processing_failed
    a_code_nobody_has_seen`
  ],
  ["NotSent", "team_added_to_org org_login_required external_channel_migrating streaming_state_conflict accesslimited"],
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
  // The target is gone.
  [
    "Permanent",
    `channel_not_found is_archived not_in_channel cannot_reply_to_message team_not_found message_not_found
    cant_update_message cant_delete_message edit_window_closed is_inactive thread_locked bad_timestamp thread_not_found
    channel_is_limited_access method_not_supported_for_channel_type user_not_found user_disabled user_not_visible`
  ],
  // The content is refused.
  [
    "Permanent",
    `no_text msg_too_long msg_blocks_too_long msg_blocks_too_many invalid_blocks invalid_blocks_format
    invalid_attachments too_many_attachments attachment_payload_limit_exceeded markdown_text_conflict block_mismatch
    invalid_metadata_format invalid_metadata_schema metadata_too_large missing_file_data too_many_contact_cards
    slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked slack_connect_lists_sharing_blocked
    slack_connect_clip_sharing_blocked`
  ],
  // The call is wrong.
  [
    "Permanent",
    `invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type
    missing_args as_user_not_supported method_deprecated deprecated_endpoint unknown_method invalid_cursor
    invalid_ts_latest invalid_ts_oldest invalid_thread_ts draft_not_found draft_already_deleted
    duplicate_channel_not_found duplicate_message_not_found`
  ],
  // A stream cannot go on.
  ["Permanent", "message_not_in_streaming_state stopped_by_user channel_type_not_supported"]
]

/** What a method refuses because it is done already; other methods mean something else by the same code. */
const disguised: ReadonlyArray<readonly [name: string, code: string, elsewhere: readonly [name: string, tag: Tag]]> = [
  ["reactions.add", "already_reacted", ["reactions.remove", "Ambiguous"]],
  ["reactions.remove", "no_reaction", ["reactions.add", "Ambiguous"]],
  ["chat.delete", "message_not_found", ["chat.update", "Permanent"]],
  ["chat.stopStream", "message_not_in_streaming_state", ["chat.appendStream", "Permanent"]]
]

describe("what a rejection means", () => {
  layer(LocalSlack.layer(), { excludeTestServices: true })((it) => {
    for (const [row, fault, tag, timeout] of transport) {
      it.effect(row, () =>
        Effect.gen(function*() {
          const reason = yield* underFault(fault, { timeout })
          assert.strictEqual(reason._tag, tag, JSON.stringify(reason))
        }))
    }

    for (
      const [what, fault] of [
        ...[502, 503, 504].map((status) => [`HTTP ${status}`, { httpStatus: { method, status } }] as const),
        ["service_unavailable", { error: { method, code: "service_unavailable" } }]
      ] as const
    ) {
      it.effect(`${what} may have arrived and says that Slack is not there`, () =>
        Effect.map(
          underFault(fault),
          (reason) => assert.deepInclude(reason, { _tag: "Ambiguous", unavailable: true })
        ))
    }

    for (
      const [what, fault] of [
        ["HTTP 500", { httpStatus: { method, status: 500 } }],
        ["internal_error", { error: { method, code: "internal_error" } }],
        ["a reset", { resetAfterCommit: { method } }]
      ] as const
    ) {
      it.effect(`${what} may be the call's own doing`, () =>
        Effect.map(underFault(fault), (reason) => assert.notProperty(reason, "unavailable")))
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

    it.effect("429 with a Retry-After beyond all measure asks again within an hour", () =>
      Effect.gen(function*() {
        for (const retryAfterSeconds of [86_400, 1e20]) {
          const reason = yield* underFault({ rateLimit: { method, retryAfterSeconds } })
          assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 3_600_000 })
        }
      }))

    for (const [tag, list] of codes) {
      for (const code of list.trim().split(/\s+/)) {
        it.effect(`${code} is ${tag}`, () =>
          Effect.map(
            underFault({ error: { method, code } }),
            (reason) => assert.strictEqual(reason._tag, tag, JSON.stringify(reason))
          ))
      }
    }

    for (const [name, code, [other, tag]] of disguised) {
      it.effect(`${code} is success in disguise for ${name}, and ${tag} for ${other}`, () =>
        Effect.gen(function*() {
          const done = yield* underFault({ error: { method: name, code } }, { name })
          assert.deepInclude(done, { _tag: "AlreadyDone", code })
          assert.strictEqual((yield* underFault({ error: { method: other, code } }, { name: other }))._tag, tag)
        }))
    }

    it.effect("200 with `ratelimited` says when in its Retry-After", () =>
      Effect.gen(function*() {
        const server = yield* rawServer(
          okWith("{\"ok\":false,\"error\":\"ratelimited\"}", "retry-after: 9\r\n"),
          "end"
        )
        const reason = yield* outcome(post(client(`http://127.0.0.1:${portOf(server)}/api/`)))
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 9_000 })
      }))

    it.effect("200 with `ratelimited` and no Retry-After waits for a while", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ error: { method, code: "ratelimited" } })
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 5_000 })
        assert.notProperty(reason, "workspace")
      }))

    it.effect("a flood of messages is the workspace's, and takes its time", () =>
      Effect.gen(function*() {
        const reason = yield* underFault({ error: { method, code: "message_limit_exceeded" } })
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 60_000, workspace: true })
      }))

    it.effect("a 429 that another client waited for by itself was not sent", () =>
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.faults({ rateLimit: { method, retryAfterSeconds: 1 } })
        const web = new WebClient("xoxb-1", { slackApiUrl: slack.apiUrl, retryConfig: { retries: 0 }, logger: silent })
        const reason = yield* outcome(post(web))
        yield* slack.clearFaults
        assert.deepInclude(reason, { _tag: "RateLimited", retryAfterMs: 1_000 })
      }))

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
    const thrown of [
      undefined,
      null,
      "text",
      new Error("boom"),
      new TypeError("terminated"),
      new TypeError("fetch failed", { cause: Object.assign(new Error("read"), { code: "ECONNRESET" }) }),
      new DOMException("The operation was aborted due to timeout", "TimeoutError"),
      { code: "ECONNREFUSED" },
      { code: "slack_webapi_platform_error", data: { ok: false, error: "token_revoked" } },
      Object.assign(new Error("looks like one"), { code: "slack_webapi_rate_limited_error", retryAfter: 1 })
    ]
  ) {
    it(`anything unknown may have arrived: ${String(thrown)}`, () => {
      assert.strictEqual(classify(thrown, method)._tag, "Ambiguous")
    })
  }
})
