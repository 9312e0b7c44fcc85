/** What the benchmark says of its numbers: tables, verdicts, what is lost. */
import { assert, describe, it } from "@effect/vitest"
import { verdicts } from "../../bench/compare/goals.ts"
import { losses } from "../../bench/compare/losses.ts"
import { type Measured, type Results, type Row, spreadOf, together } from "../../bench/compare/Measured.ts"
import { published } from "../../bench/compare/publish.ts"
import { rows } from "../../bench/compare/rows.ts"
import { asMarkdown, asText } from "../../bench/compare/table.ts"

const row = (id: string): Row => {
  const found = rows.find((row) => row.id === id)
  if (found === undefined) throw new Error(`no row is called ${id}`)
  return found
}
const round = (values: Record<string, number>): Measured => ({ durability: "synchronous=FULL", values })

const results: Results = {
  date: "2026-11-22",
  rounds: 3,
  seconds: 0.5,
  machine: { cpu: "a processor", cores: 2 },
  versions: { SQLite: "3.53.4" },
  rows: [
    together(row("raw"), [20_000, 10_000, 12_000].map((life) => round({ "life@16": life }))),
    together(row("store"), [round({ "life@16": 9_900, rssIdle: 90, "ackP99@16": 5 })]),
    together(row("plainjob-full"), [round({ "life@16": 1_000, rssIdle: 60, "ackP99@16": 4.9 })]),
    { ...together(row("bullmq-always"), []), skipped: "no redis-server on the path" }
  ]
}

describe("the results of the benchmark", () => {
  it("take the median of the rounds and say how far they lay apart", () => {
    assert.deepStrictEqual(spreadOf([20_000, 10_000, 12_000]), { median: 12_000, min: 10_000, max: 20_000 })
    assert.deepStrictEqual(spreadOf([3, 1]), { median: 2, min: 1, max: 3 })
    assert.include(asText(results), "12,000 ±42%")
  })

  it("name who was skipped, and why", () => {
    assert.include(asText(results), "skipped: BullMQ: no redis-server on the path")
    assert.include(asMarkdown(results), "skipped: BullMQ: no redis-server on the path.")
  })

  it("leave out columns that nobody has a number for", () => {
    const [head = ""] = asMarkdown(results).split("\n")
    assert.include(head, "lives/s, c=16")
    assert.notInclude(head, "lives/s, c=100")
  })

  it("judge a goal by the numbers, and not at all without them", () => {
    const found = verdicts(results)
    const limit = found.find(({ text }) => text.includes("against raw node:sqlite"))
    assert.deepInclude(limit, { value: 0.825, met: true })
    assert.deepInclude(found.find(({ text }) => text.endsWith("plainjob at FULL")), { value: 9.9, met: true })
    assert.isUndefined(found.find(({ text }) => text.includes("BullMQ, always"))?.met)
  })

  it("name every number in which a peer is better, unless it is as good as the same", () => {
    assert.deepStrictEqual(losses(results).map(({ of, what }) => [of.id, what]), [["plainjob-full", "RSS idle"]])
  })

  it("go into the marked parts of a page and nowhere else", () => {
    const page = "before\n<!-- bench:goals -->\nold\n<!-- /bench:goals -->\nafter\n"
    const after = published(page, results)
    assert.match(after, /^before\n<!-- bench:goals -->\n\n\| goal [\s\S]*\n\n<!-- \/bench:goals -->\nafter\n$/)
    assert.notInclude(after, "old")
    assert.strictEqual(published(after, results), after)
  })
})
