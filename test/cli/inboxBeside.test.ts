/** `slackwater inbox` beside a running gateway: what it changes takes effect at once, and it races no turn. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { RowChange } from "../../src/cli/rowChange.ts"
import { InboxDetail } from "../../src/InboxRow.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { inbox, inboxJson } from "./inboxSeed.ts"
import { directory, eventually, fixture } from "./process.ts"

/** Without echoes nothing is in the inbox but what people write. */
const withSlack = Effect.provide(LocalSlack.layer({ faults: { echoes: false } }))
const changeOf = inboxJson(RowChange)
const detailOf = inboxJson(InboxDetail)

/** A gateway whose handler fails until it is mended. */
const broken = Effect.fnUntraced(function*(env: Readonly<Record<string, string>> = {}, given?: string) {
  const cwd = given ?? (yield* directory)
  const [mended, ledger] = [join(cwd, "mended"), join(cwd, "ledger")]
  const files = { MENDED: mended, LEDGER: ledger }
  const once = { SLACKWATER_MAX_ATTEMPTS: "1", SLACKWATER_FAILURE_NOTICE: "off" }
  const started = yield* gateway(fixture("broken"), { ...files, ...once, ...env }, cwd)
  return {
    ...started,
    mend: () => writeFileSync(mended, ""),
    worked: () => readFileSync(ledger, "utf8").trimEnd().split("\n")
  }
})

const counted = (
  { running, status }: Gateway,
  expected: Partial<Record<"queued" | "failed" | "done" | "ignored", number>>
) =>
  eventually(
    JSON.stringify(expected),
    status,
    (now) => now !== undefined && Object.entries(expected).every(([name, n]) => ({ ...now.inbox })[name] === n),
    running
  )

/** Said one after the other, each of them a dead letter. */
const dead = Effect.fnUntraced(function*(started: Gateway, ...texts: ReadonlyArray<string>) {
  for (const [index, text] of texts.entries()) {
    yield* started.say(text)
    yield* counted(started, { failed: index + 1 })
  }
})

it.live("a dead letter that is retried is answered at once, and nothing of it is said or done twice", () =>
  Effect.gen(function*() {
    const started = yield* broken()
    const { cwd, mend, worked } = started
    yield* dead(started, "one")
    assert.match(yield* inbox(cwd, "list"), /^1 +failed .* no such model +one$/m)
    mend()
    assert.strictEqual(yield* inbox(cwd, "retry", "1"), "1 message to be handled again: 1\n")
    assert.deepStrictEqual(yield* awaitReplies(started, 2), ["looking at one", "done: one"])
    yield* counted(started, { done: 1, failed: 0 })
    assert.deepStrictEqual(worked(), ["one"])
    const { attempts, byHand, failures, replies, retries, steps } = yield* Effect.map(
      detailOf(cwd, "show", "1"),
      (shown) => ({ ...shown, replies: shown.turnRecord?.replies, steps: shown.turnRecord?.steps })
    )
    assert.deepStrictEqual([attempts, failures, retries, steps], [2, 0, 1, []])
    assert.deepStrictEqual(byHand.map(({ action, reason }) => [action, reason]), [["retry", "no such model"]])
    assert.deepStrictEqual(replies?.map(({ text }) => text), ["looking at one", "done: one"])
  }).pipe(withSlack))

it.live("dead letters of one conversation are handled one by one, in their order; one that fails again is there again", () =>
  Effect.gen(function*() {
    const started = yield* broken()
    const { cwd, mend, worked } = started
    yield* dead(started, "one", "two", "three")
    assert.deepStrictEqual((yield* changeOf(cwd, "retry", "1")).changed, [1])
    yield* eventually(
      "it failed again",
      detailOf(cwd, "show", "1"),
      ({ attempts, state }) => attempts === 2 && state === "failed"
    )
    mend()
    assert.deepStrictEqual((yield* changeOf(cwd, "retry", "--state", "failed", "--yes")).changed, [1, 2, 3])
    const said = yield* awaitReplies(started, 6)
    assert.deepStrictEqual(said.slice(3), ["done: one", "done: two", "done: three"])
    assert.deepStrictEqual(worked(), ["one", "two", "three"])
    assert.deepStrictEqual((yield* changeOf(cwd, "retry", "--state", "failed", "--yes")).changed, [])
  }).pipe(withSlack))

it.live("retried while no gateway runs, it is handled by the next one", () =>
  Effect.gen(function*() {
    const first = yield* broken()
    yield* dead(first, "one", "two")
    yield* first.running.signal("SIGTERM")
    assert.deepStrictEqual(yield* first.running.ended, { code: 0, signal: null })
    first.mend()
    assert.deepStrictEqual((yield* changeOf(first.cwd, "retry", "2")).changed, [2])
    assert.deepStrictEqual((yield* changeOf(first.cwd, "discard", "1")).changed, [1])
    const next = yield* broken({}, first.cwd)
    assert.deepStrictEqual(yield* awaitReplies(next, 3), ["looking at one", "looking at two", "done: two"])
    yield* counted(next, { done: 1, failed: 0, ignored: 1 })
  }).pipe(withSlack))

it.live("a message whose turn waits for its next run may be discarded, and what was behind it goes on at once", () =>
  Effect.gen(function*() {
    const started = yield* broken({ SLACKWATER_MAX_ATTEMPTS: "9", SLACKWATER_RETRY_DELAY: "5 minutes" })
    const { cwd, mend } = started
    yield* started.say("bad")
    yield* eventually(
      "it waits",
      detailOf(cwd, "show", "1"),
      ({ failures, state }) => failures === 1 && state === "queued"
    )
    yield* started.say("behind")
    yield* counted(started, { queued: 2 })
    mend()
    assert.deepStrictEqual((yield* changeOf(cwd, "discard", "1")).changed, [1])
    assert.deepStrictEqual(yield* awaitReplies(started, 3), ["looking at bad", "looking at behind", "done: behind"])
    yield* counted(started, { done: 1, ignored: 1, queued: 0 })
  }).pipe(withSlack))

it.live("a message with which a turn runs is left alone, and is answered", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    const gate = join(cwd, "gate")
    const started = yield* gateway(fixture("gated"), { GATE: gate }, cwd)
    yield* started.say("slow")
    yield* awaitReplies(started, 1)
    for (const action of ["retry", "discard"]) {
      const { changed, left } = yield* changeOf(cwd, action, "1")
      assert.deepStrictEqual([changed, left], [[], [{ why: "in hand: a turn runs with it", ids: [1] }]])
    }
    writeFileSync(gate, "")
    assert.deepStrictEqual(yield* awaitReplies(started, 2), ["one moment", "here it is: slow"])
  }).pipe(withSlack))
