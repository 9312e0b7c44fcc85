/** The results as one picture: lives a second of every row, on a logarithmic scale, with what lay between the rounds. */
import { at, type Results, type RowResult } from "./Measured.ts"
import { linkedom, observablePlot } from "./peers.ts"

const colours: Readonly<Record<RowResult["group"], string>> = {
  limit: "#888888",
  store: "#2563a8",
  weaker: "#9db7d5",
  whole: "#1d7a46",
  "end to end": "#b3541e"
}

const ours = /^Slackwater/

export const plot = async ({ date, machine, rows }: Results, concurrency = 16): Promise<string> => {
  const Plot = await observablePlot()
  const { parseHTML } = await linkedom()
  const { document } = parseHTML("<!doctype html><html><body></body></html>")
  const bars = rows.flatMap((row) => {
    const spread = row.values[at("life", concurrency)] ?? row.values[at("answers", concurrency)]
    return spread === undefined || !Number.isFinite(spread.median)
      ? []
      : [{ ...spread, name: `${row.title} · ${row.durability}`, group: row.group, isOurs: ours.test(row.title) }]
  })
  const names = bars.map(({ name }) => name)
  const svg = Plot.plot({
    document,
    width: 960,
    height: 70 + 26 * bars.length,
    marginLeft: 430,
    marginRight: 80,
    marginBottom: 44,
    style: { background: "white", color: "#222222", fontFamily: "sans-serif", fontSize: "12px" },
    title: undefined,
    x: { type: "log", label: `lives a second, ${concurrency} at once (logarithmic) →`, grid: true, tickFormat: "~s" },
    y: { domain: names, label: null },
    marks: [
      Plot.ruleY(bars, { y: "name", x1: Math.min(...bars.map(({ min }) => min)) / 2, x2: "median", stroke: "#dddddd" }),
      Plot.ruleY(bars, { y: "name", x1: "min", x2: "max", stroke: "#222222", strokeWidth: 2 }),
      Plot.dot(bars, {
        y: "name",
        x: "median",
        r: 6,
        fill: (bar: (typeof bars)[number]) => colours[bar.group],
        stroke: (bar: (typeof bars)[number]) => bar.isOurs ? "#000000" : "none",
        strokeWidth: 1.5
      }),
      Plot.text(bars, {
        y: "name",
        x: "max",
        dx: 12,
        textAnchor: "start",
        text: ({ median }: (typeof bars)[number]) => Math.round(median).toLocaleString("en-US")
      })
    ],
    caption: undefined
  })
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg")
  const caption = document.createElement("title")
  caption.textContent = `Lives a second at c=${concurrency}, ${date}, ${machine["cpu"]}, ${machine["disk"]}`
  svg.prepend(caption)
  return `${svg.outerHTML}\n`
}
