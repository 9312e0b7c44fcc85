/**
 * `docs/telemetry.md` shows the table of `src/Telemetry.ts`, the code uses nothing that is not in it, and what dashboard
 * and alert rules name is there.
 */
import { assert, describe, it } from "@effect/vitest"
import { parser } from "@prometheus-io/lezer-promql"
import { globSync, readFileSync } from "node:fs"
import { parse as parseYaml } from "yaml"
import { logFields, metrics, spans } from "../../src/Telemetry.ts"

const page = readFileSync("docs/telemetry.md", "utf8")
const operating = readFileSync("docs/operating.md", "utf8")
const sources = globSync("src/**/*.ts").filter((path) => !path.startsWith("src/testing/"))
  .map((path) => ({ path, source: readFileSync(path, "utf8") }))

/** The rows of the table below a heading. */
const rowsOf = (heading: string): ReadonlyArray<string> => {
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""
  return section.split("\n").filter((line) => line.startsWith("| ")).slice(1)
}

const labelsOf = (labels: typeof metrics[number]["labels"]) =>
  Object.entries(labels).map(([label, values]) =>
    `\`${label}\`: ${typeof values === "string" ? values : values.join(", ")}`
  ).join("; ")

/** The keys of an object as it is written: `a, b: call(c, d)`. */
const fieldsOf = (written: string): ReadonlyArray<string> => {
  let flat = written
  for (let before = ""; before !== flat;) [before, flat] = [flat, flat.replaceAll(/\([^()]*\)/g, "")]
  return flat.split(",").map((field) => field.trim().split(/[:\s]/)[0] ?? "").filter((field) => /^\w+$/.test(field))
}

/** Names of the series of a metric, as PromQL asks for them. */
const series = new Map(
  metrics.flatMap(({ kind, labels, name }) =>
    (kind === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) => [`${name}${suffix}`, labels] as const)
  )
)

describe("docs/telemetry.md", () => {
  it("shows every metric with its kind, labels and description, and no other", () => {
    assert.deepStrictEqual(
      rowsOf("Metrics"),
      metrics.map(({ description, kind, labels, name }) =>
        `| \`${name}\` | ${kind} | ${labelsOf(labels)} | ${description} |`
      )
    )
  })

  it("shows the spans of a message's way with their attributes", () => {
    assert.deepStrictEqual(
      rowsOf("Spans"),
      Object.entries(spans).map(([name, { attributes, description }]) =>
        `| \`${name}\` | ${attributes.map((attribute) => `\`${attribute}\``).join(", ")} | ${description} |`
      )
    )
  })

  it("shows every log field", () => {
    assert.deepStrictEqual(
      rowsOf("Log fields"),
      Object.entries(logFields).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`)
    )
  })
})

describe("the table", () => {
  it("names metrics as Prometheus wants them: base units, and counters that end in _total", () => {
    assert.strictEqual(new Set(metrics.map(({ name }) => name)).size, metrics.length)
    for (const { description, kind, labels, name } of metrics) {
      assert.match(name, /^slackwater_[a-z]+(?:_[a-z]+)*$/)
      assert.notMatch(name, /milliseconds|minutes|kilo|mega/)
      assert.strictEqual(name.endsWith("_total"), kind === "counter", name)
      if (kind === "histogram") assert.match(name, /_(?:seconds|bytes)$/)
      assert.isAbove(description.length, 8)
      for (const label of Object.keys(labels)) assert.notInclude(["le", "quantile", "conversation", "user"], label)
    }
  })

  it("has every span that the code makes, or the span is named after the method that it is", () => {
    const made = sources.filter(({ path }) => !path.startsWith("src/cli/")).flatMap(({ source }) =>
      [...source.matchAll(/\b(?:Effect\.fn|withSpan|spanned)\(\s*"([^"]+)"/g)].map(([, name]) => name ?? "")
    )
    for (const name of made) assert.match(name, /^(?:[A-Z]\w+\.\w+|\w+)$/)
    for (const name of Object.keys(spans)) assert.include(made, name)
  })

  it("has the attributes that the code gives to its spans", () => {
    const known = new Set(Object.values(spans).flatMap(({ attributes }) => attributes))
    const given = sources.flatMap(({ source }) =>
      [...source.matchAll(/annotateCurrentSpan\((?:"(\w+)"|\{([^}]*)\})/g)].flatMap(([, one, several = ""]) =>
        one === undefined ? fieldsOf(several) : [one]
      )
    )
    assert.includeMembers(given, ["envelope", "conversation", "reply", "step"])
    for (const attribute of given) assert.isTrue(known.has(attribute), attribute)
  })

  it("has every field that the code gives to its log lines", () => {
    const given = sources.flatMap(({ path, source }) =>
      [...source.matchAll(/annotateLogs\(\s*\{([^{}]*)\}/g)].flatMap(([, fields = ""]) =>
        fieldsOf(fields).map((field) => ({ path, field }))
      )
    )
    assert.isAtLeast(given.length, 20)
    for (const { field, path } of given) assert.isTrue(Object.hasOwn(logFields, field), `${field} of ${path}`)
  })
})

/** Everything that an expression selects: metrics by name, and the labels it asks for. */
const selected = (
  expression: string
): ReadonlyArray<{ readonly metric: string; readonly labels: ReadonlyArray<string> }> => {
  // Grafana's variables stand for durations and label values.
  const text = expression.replaceAll("$__rate_interval", "5m").replaceAll(/\$\w+/g, "x")
  const found: Array<{ metric: string; labels: Array<string> }> = []
  parser.parse(text).iterate({
    enter: (node) => {
      assert.isFalse(node.type.isError, `not PromQL: ${expression}`)
      const word = text.slice(node.from, node.to)
      if (node.name === "Identifier" && node.node.parent?.name === "VectorSelector") {
        found.push({ metric: word, labels: [] })
      }
      if (node.name === "LabelName" && node.node.parent?.name === "UnquotedLabelMatcher") {
        found.at(-1)?.labels.push(word)
      }
      return undefined
    }
  })
  return found
}

const isKnown = (expression: string) => {
  const selectors = selected(expression)
  assert.isNotEmpty(selectors, expression)
  for (const { labels, metric } of selectors) {
    // Prometheus' own: whether a scrape worked.
    const known = metric === "up" ? {} : series.get(metric)
    assert.isDefined(known, `${metric} is no metric of ours`)
    for (const label of labels) {
      assert.include([...Object.keys(known ?? {}), "job", "instance", "le"], label, `${metric} has no label ${label}`)
    }
  }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

describe("docs/prometheus/alerts.yml", () => {
  const file: { readonly groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Rule> }> } =
    parseYaml(readFileSync("docs/prometheus/alerts.yml", "utf8"))
  const rules = file.groups.flatMap(({ rules }) => rules)

  it("has rules", () => assert.isAtLeast(rules.length, 8))

  for (const { alert, annotations, expr, for: lasting, labels } of rules) {
    it(`${alert} is PromQL over metrics that there are, and says where to read on`, () => {
      isKnown(expr)
      if (lasting !== undefined) assert.match(lasting, /^\d+[smh]$/)
      assert.include(["critical", "warning"], labels.severity)
      assert.isAbove(annotations.summary.length, 15)
      const anchor = /operating\.md#([\w-]+)$/.exec(annotations.runbook_url)?.[1]
      assert.strictEqual(anchor, alert.toLowerCase())
      assert.match(operating, new RegExp(`^### ${alert}\n\n.{40,}`, "m"))
    })
  }
})

describe("docs/grafana/slackwater.json", () => {
  interface Panel {
    readonly id: number
    readonly title: string
    readonly type: string
    readonly description?: string
    readonly targets?: ReadonlyArray<{ readonly expr: string }>
  }
  const dashboard: { readonly title: string; readonly panels: ReadonlyArray<Panel>; readonly schemaVersion: number } =
    JSON
      .parse(readFileSync("docs/grafana/slackwater.json", "utf8"))
  const plots = dashboard.panels.filter(({ type }) => type !== "row")

  it("has panels, each with a number of its own", () => {
    assert.isAtLeast(plots.length, 10)
    assert.strictEqual(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  })

  for (const { targets = [], title } of plots) {
    it(`"${title}" shows metrics that there are`, () => {
      assert.isNotEmpty(targets)
      for (const { expr } of targets) isKnown(expr)
    })
  }
})
