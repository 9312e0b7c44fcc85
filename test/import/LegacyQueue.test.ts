/** What becomes of each file of a legacy queue, by the rules alone. */
import { assert, describe, it } from "@effect/vitest"
import { type LegacyFile, type Outcome, pathOf, plan, type PlanOptions } from "../../src/import/LegacyQueue.ts"

const now = Date.UTC(2026, 10, 22)
const hour = 3_600_000
const options: PlanOptions = { now, ttl: 24 * hour, account: "default" }

type Entry = Readonly<Record<string, unknown>>
const entry = (given: Entry = {}): Entry => ({
  id: "a",
  enqueuedAt: now - hour,
  channel: "slack",
  to: "C0GENERAL",
  payloads: [{ text: "hello" }],
  retryCount: 0,
  ...given
})
const file = (content: unknown, given: Partial<LegacyFile> = {}): LegacyFile => ({
  folder: "delivery-queue",
  name: "a.json",
  isFailed: false,
  content: typeof content === "string" ? content : JSON.stringify(content),
  ...given
})
const failed: Partial<LegacyFile> = { folder: "failed", isFailed: true }
const marker = (name = "a", given: Partial<LegacyFile> = {}) => file("", { name: `${name}.delivered`, ...given })

const only = (content: unknown, ...others: ReadonlyArray<LegacyFile>) => {
  const { entries, stayed } = plan([file(content), ...others], options)
  assert.deepStrictEqual(stayed, [])
  assert.strictEqual(entries.length, 1)
  const [first] = entries
  if (first === undefined) throw new Error("no entry")
  return first
}
const onlyRow = (content: unknown) => only(content).rows[0]

describe("an entry", () => {
  it("that waits is taken over as it stands, with its attempts and its age", () => {
    assert.deepStrictEqual(only(entry({ retryCount: 2, lastAttemptAt: now - 10, lastError: "timeout" })), {
      id: "a",
      outcome: "queued",
      files: [{ folder: "delivery-queue", name: "a.json" }],
      enqueuedAt: now - hour,
      rows: [{
        key: "legacy:a:0",
        lane: "C0GENERAL",
        destination: { channel: "C0GENERAL" },
        dispatch: { _tag: "Post", text: "hello" },
        state: "queued",
        attempts: 2,
        enqueuedAt: now - hour,
        failure: { error: "Imported", reason: "timeout" },
        failedAt: now - 10
      }]
    } as unknown as ReturnType<typeof only>)
  })

  for (
    const [to, channel] of [
      ["C0GENERAL", "C0GENERAL"],
      ["D0ALICE", "D0ALICE"],
      ["U0ALICE", "U0ALICE"],
      ["channel:C0GENERAL", "C0GENERAL"],
      ["user:U0ALICE", "U0ALICE"]
    ]
  ) {
    it(`to ${to} goes to ${channel}`, () => {
      assert.deepStrictEqual(onlyRow(entry({ to }))?.destination, { channel: channel ?? "" })
    })
  }

  it("goes to its thread, or else to that of the message it answers", () => {
    const both = onlyRow(entry({ threadId: "1700000000.000100", replyToId: "1700000000.000200" }))
    assert.deepStrictEqual(both?.destination, { channel: "C0GENERAL", threadTs: "1700000000.000100" })
    assert.strictEqual(both?.lane, "C0GENERAL/1700000000.000100")
    const answer = onlyRow(entry({ threadId: null, replyToId: "1700000000.000200" }))
    assert.strictEqual(answer?.destination.threadTs, "1700000000.000200")
  })

  it("without a retryCount has none, whatever stands in its place", () => {
    const { retryCount: _, ...without } = entry()
    assert.strictEqual(onlyRow(without)?.attempts, 0)
    assert.strictEqual(onlyRow(entry({ retryCount: null }))?.attempts, 0)
  })

  it("with several payloads and long texts is several rows, numbered through, later parts told apart", () => {
    const { rows } = only(entry({ payloads: [{ text: "x".repeat(9_000) }, { text: " " }, { text: "last" }] }))
    assert.deepStrictEqual(rows.map(({ key, part }) => [key, part]), [
      ["legacy:a:0", undefined],
      ["legacy:a:1", 1],
      ["legacy:a:2", 2],
      ["legacy:a:3", undefined]
    ])
    const said = rows.map(({ dispatch }) => dispatch._tag === "Post" ? dispatch.text : "").join("")
    assert.strictEqual(said, `${"x".repeat(9_000)}last`)
  })
})

describe("what becomes of it", () => {
  const late = { enqueuedAt: now - 24 * hour - 1 }
  const { enqueuedAt: _, ...timeless } = entry()
  const recovery = { recoveryState: "unknown_after_send" }
  const rows: ReadonlyArray<
    readonly [what: string, content: Entry, outcome: Outcome, error: string | null, reason: RegExp, inFailed?: true]
  > = [
    ["as old as its time to live", entry({ enqueuedAt: now - 24 * hour }), "queued", null, /^$/],
    ["older than its time to live", entry(late), "expired", "Expired", /older/],
    ["without an enqueue time", timeless, "expired", "NoTime", /does not say when/],
    ["with null for an enqueue time", entry({ enqueuedAt: null }), "expired", "NoTime", /does not say when/],
    ["from the future", entry({ enqueuedAt: now + hour }), "expired", "NoTime", /future/],
    ["from a clock a bit ahead", entry({ enqueuedAt: now + 1_000 }), "queued", null, /^$/],
    ["that may have been sent", entry(recovery), "unknown", "Ambiguous", /unknown_after_send/],
    ["old that may have been sent", entry({ ...recovery, ...late }), "unknown", "Ambiguous", /may have been sent/],
    ["from a tool", entry({ dispatchKind: "tool" }), "interim", "Interim", /^interim$/],
    ["from a block", entry({ dispatchKind: "block", ...recovery }), "interim", "Interim", /^interim$/],
    ["final", entry({ dispatchKind: "final" }), "queued", null, /^$/],
    ["that had failed", entry({ lastError: "not_in_channel" }), "failed", "Imported", /^not_in_channel$/, true],
    ["that had failed without a word", entry(), "failed", "Imported", /had failed/, true]
  ]
  for (const [what, content, outcome, error, reason, inFailed] of rows) {
    it(`one ${what}: ${outcome}`, () => {
      const { entries: [first], stayed } = plan([file(content, inFailed ? failed : {})], options)
      assert.deepStrictEqual(stayed, [])
      assert.strictEqual(first?.outcome, outcome)
      const row = first?.rows[0]
      assert.strictEqual(row?.failure?.error ?? null, error)
      assert.match(row?.failure?.reason ?? "", reason)
      assert.strictEqual(row?.interim === true, outcome === "interim")
      const state = outcome === "interim" || outcome === "failed" ? "failed_terminal" : outcome
      assert.strictEqual(row?.state, state)
    })
  }

  it("nothing is too old without a time to live", () => {
    const { entries } = plan([file(entry({ enqueuedAt: 0 }))], { ...options, ttl: null })
    assert.strictEqual(entries[0]?.outcome, "queued")
  })

  it("a mark beside it says that it was sent, whatever else is known; both files go, the entry first", () => {
    const done = only(entry({ ...recovery, ...late }), marker())
    assert.strictEqual(done.outcome, "delivered")
    assert.deepInclude(done.rows[0], { state: "delivered", failure: null })
    assert.deepStrictEqual(done.files.map(({ name }) => name), ["a.json", "a.delivered"])
  })

  it("a mark in another folder says nothing", () => {
    const { entries } = plan([file(entry()), marker("a", failed)], options)
    assert.strictEqual(entries[0]?.outcome, "queued")
  })

  it("later parts of what has ended are cancelled with the first, so that one retry brings back all", () => {
    const { entries: [first] } = plan([file(entry({ payloads: [{ text: "x".repeat(5_000) }] }), failed)], options)
    assert.deepStrictEqual(first?.rows.map(({ failure }) => failure?.error), ["Imported", "Cancelled"])
  })
})

describe("entries of several accounts", () => {
  const ids = ["none", "null", "default", "work"]
  const accounts = [{}, { accountId: null }, { accountId: "default" }, { accountId: "work" }]
  const files = ids.map((id, at) => file(entry({ id, ...accounts[at] }), { name: `${id}.json` }))
  const taken = (account: string) => {
    const { entries, stayed } = plan(files, { ...options, account })
    return { taken: entries.map(({ id }) => id).toSorted(), reasons: [...new Set(stayed.map(({ reason }) => reason))] }
  }

  it("are taken over where they name none, or the default one; the others stay, with what to do", () => {
    assert.deepStrictEqual(taken("default"), {
      taken: ["default", "none", "null"],
      reasons: [
        "it is of the account \"work\": take it over with --account \"work\", into the data directory of that workspace"
      ]
    })
  })

  it("are those of one account where that is named, and no others", () => {
    assert.deepStrictEqual(taken("work"), {
      taken: ["work"],
      reasons: [
        "it is of the default account: take it over without --account, into the data directory of that workspace"
      ]
    })
  })
})

describe("what stays", () => {
  const rows: ReadonlyArray<readonly [what: string, content: unknown, malformed: boolean, reason: RegExp]> = [
    ["for another channel", { channel: "telegram", to: 42 }, false, /^it is for telegram$/],
    ["with media", entry({ payloads: [{ text: "a" }, { mediaUrl: "file:///x.png" }] }), false, /media/],
    ["with several media", entry({ payloads: [{ mediaUrls: ["https://x/y.png"] }] }), false, /media/],
    ["with a payload of another kind", entry({ payloads: [{ text: "a", poll: { options: [] } }] }), false, /"poll"/],
    ["without any text", entry({ payloads: [{ text: "" }] }), false, /no text/],
    ["without payloads", entry({ payloads: [] }), false, /no text/],
    ["that is cut off", "{\"id\": \"a\", \"chan", true, /not JSON/],
    ["that is empty", "", true, /not JSON/],
    ["that is a list", [], true, /names no channel/],
    ["that is null", "null", true, /names no channel/],
    ["whose payloads are none", entry({ payloads: "hello" }), true, /it is no entry.*payloads/],
    ["whose text is none", entry({ payloads: [{ text: 5 }] }), true, /it is no entry/],
    ["of an unknown dispatch kind", entry({ dispatchKind: "gossip" }), true, /dispatchKind/],
    ["whose time is text", entry({ enqueuedAt: "yesterday" }), true, /enqueuedAt/],
    ["whose time no date can hold", entry({ enqueuedAt: 1e300 }), true, /enqueuedAt/],
    ["whose account is none", entry({ accountId: 7 }), true, /accountId/],
    ["tried less than never", entry({ retryCount: -1 }), true, /retryCount/],
    ["whose id is not its name", entry({ id: "b" }), true, /its id is "b"/],
    ["to nobody", entry({ to: "" }), true, /"to" is ""/],
    ["to a name", entry({ to: "#general" }), true, /"to" is "#general"/],
    ["to a person that is a channel", entry({ to: "user:C0GENERAL" }), true, /"to" is/],
    ["to a channel that is a person", entry({ to: "channel:U0ALICE" }), true, /"to" is/],
    ["in a thread that is none", entry({ threadId: "topic-7" }), true, /no ts of Slack/],
    ["in a thread that lost its digits", entry({ threadId: 1_700_000_000.0001 }), true, /threadId/]
  ]
  for (const [what, content, malformed, reason] of rows) {
    it(`one ${what}`, () => {
      const { entries, stayed: [first, ...others] } = plan([file(content)], options)
      assert.deepStrictEqual([entries.length, others.length], [0, 0])
      assert.strictEqual(first?.malformed, malformed)
      assert.match(first?.reason ?? "", reason)
      assert.notMatch(first?.reason ?? "", /\n/)
    })
  }

  it("what nobody read, and why; what has no name of an entry; a mark without its entry", () => {
    const files = [
      file("", { content: { unread: "it is a link", skip: true } }),
      file("", { name: "b.json", content: { unread: "too large", skip: false } }),
      file("", { name: "c.json.tmp" }),
      marker("d")
    ]
    const { entries, stayed } = plan(files, options)
    assert.deepStrictEqual(entries, [])
    assert.deepStrictEqual(stayed.map((one) => [pathOf(one), one.malformed]), [
      ["delivery-queue/a.json", false],
      ["delivery-queue/b.json", true],
      ["delivery-queue/c.json.tmp", false],
      ["delivery-queue/d.delivered", false]
    ])
  })
})

it("entries come in the order of their times, then of their names; those without a time at the end", () => {
  const named = (id: string, enqueuedAt: number | null, given: Partial<LegacyFile> = {}) =>
    file(entry({ id, enqueuedAt }), { name: `${id}.json`, ...given })
  const files = [named("none", null), named("b", 2_000), named("c", 1_000, failed), named("a", 2_000)]
  assert.deepStrictEqual(plan(files, options).entries.map(({ id }) => id), ["c", "a", "b", "none"])
})
