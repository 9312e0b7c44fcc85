import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSlack } from "../../src/testing/index.ts"
import { call, type SlackFailure, webClient } from "./clients.ts"

const idsOf = (page: { readonly channels?: ReadonlyArray<{ readonly id?: string }> }) =>
  page.channels?.map(({ id }) => id)
const refused = (run: () => Promise<unknown>) =>
  Effect.map(Effect.flip(call(run)), (failure: SlackFailure) => failure.data)

it.effect("the bot is in every channel and direct message, and they come by kind and in pages", () =>
  Effect.gen(function*() {
    const web = yield* webClient()
    const everything = yield* call(() => web.users.conversations({ types: "public_channel,private_channel,im,mpim" }))
    assert.deepStrictEqual(idsOf(everything), ["C0GENERAL", "C1", "C2", "D0ALICE", "D0BOB"])
    const first = yield* call(() => web.users.conversations({ limit: 2 }))
    assert.deepStrictEqual(idsOf(first), ["C0GENERAL", "C1"])
    const cursor = first.response_metadata?.next_cursor ?? ""
    const second = yield* call(() => web.users.conversations({ limit: 2, cursor }))
    assert.deepStrictEqual([idsOf(second), second.response_metadata?.next_cursor], [["C2"], ""])
    assert.deepInclude(yield* refused(() => web.conversations.list({ cursor: "nonsense" })), {
      error: "invalid_cursor"
    })
  }).pipe(Effect.provide(LocalSlack.layer({ channels: ["C1", "C2"] }))))

it.effect("a scope that the token lacks is named, for its kind only", () =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const web = yield* webClient()
    const ts = yield* slack.say({ channel: "C0GENERAL", user: "U0ALICE", text: "root" })
    yield* slack.faults({ missingScopes: ["im:read", "channels:history"] })
    const missing = (needed: string) => ({ error: "missing_scope", needed })
    assert.deepInclude(
      yield* refused(() => web.users.conversations({ types: "public_channel,im" })),
      missing("im:read")
    )
    assert.deepStrictEqual(idsOf(yield* call(() => web.users.conversations({}))), ["C0GENERAL"])
    const channel = "C0GENERAL"
    assert.deepInclude(yield* refused(() => web.conversations.history({ channel })), missing("channels:history"))
    assert.deepInclude(yield* refused(() => web.conversations.replies({ channel, ts })), missing("channels:history"))
    assert.isTrue((yield* call(() => web.conversations.history({ channel: "D0ALICE" }))).ok)
    yield* slack.faults({ missingScopes: null })
    assert.isTrue((yield* call(() => web.conversations.history({ channel }))).ok)
  }).pipe(Effect.provide(LocalSlack.layer())))
