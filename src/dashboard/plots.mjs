/**
 * The last hour as three plots, drawn by uPlot: throughput, latency, what waits. Lines differ by dash as well as by
 * colour, every plot has a legend with numbers (of the moment under the pointer, else the last), and the same numbers as
 * a table.
 */
import { el, fill, say } from "./element.mjs"
import { linesOf, momentsOf, perMinute, plots, worded } from "./hour.mjs"
import { clockTime } from "./times.mjs"
import { world } from "./world.mjs"

/** @import UPlot from "uplot" */
/** @import { Line, Plot } from "./hour.mjs" */
/** @import { Activity } from "./shapes.ts" */

const height = 180

/** The section, and what to call when there are new numbers or it is taken away. */
export const plotsSection = () => {
  const figures = plots.map((plot) => {
    const place = el("div", { class: "plot", role: "img", "aria-label": `${plot.title}: no numbers yet` })
    const at = el("span", { class: "at" }, "now")
    const values = plot.lines.map((line) => ({ line, node: el("b", {}, "–"), swatch: swatch() }))
    const legend = el(
      "ul",
      { class: "legend" },
      values.map(({ line, node, swatch }) => el("li", {}, swatch, `${line.label} `, node))
    )
    const figure = el("figure", { class: "panel" }, el("figcaption", {}, el("h3", {}, plot.title), at, legend), place)
    return { plot, place, at, values, figure }
  })
  const rows = el("tbody", {})
  const table = el(
    "details",
    { class: "numbers", toggle: () => drawTable() },
    el("summary", {}, "The same as a table"),
    el(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Numbers of the last hour" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", { scope: "col" }, "Time"),
            plots.flatMap(({ lines, title }) => lines.map(({ label }) => el("th", { scope: "col", title }, label)))
          )
        ),
        rows
      )
    )
  )
  const node = el(
    "section",
    { "aria-labelledby": "hour" },
    el("h2", { id: "hour" }, "Last hour"),
    el("div", { class: "plots" }, figures.map(({ figure }) => figure)),
    table
  )

  /** @type {UPlot[]} */
  let drawn = []
  let isGone = false

  const drawTable = () => {
    const { activity } = world
    if (!table.open || activity === null) return
    const moments = momentsOf(activity)
    const last = moments.length - 1
    const minutes = moments.flatMap((at, n) => (last - n) % perMinute(activity) === 0 ? [{ at, n }] : [])
    fill(
      rows,
      minutes.map(({ at, n }) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, clockTime(at * 1_000)),
          plots.flatMap((plot) =>
            plot.lines.map((line, m) => el("td", {}, worded(plot, line, linesOf(plot, activity)[m]?.[n])))
          )
        )
      ).toReversed()
    )
  }

  /**
   * @param {typeof figures[number]} figure
   * @param {number | null | undefined} index Null: the last.
   */
  const drawLegend = ({ at, place, plot, values }, index) => {
    const { activity } = world
    if (activity === null) return
    const moments = momentsOf(activity)
    const n = index ?? moments.length - 1
    say(at, index == null ? "now" : clockTime((moments[n] ?? 0) * 1_000))
    values.forEach(({ line, node }, m) => say(node, worded(plot, line, linesOf(plot, activity)[m]?.[n])))
    if (index == null) {
      place.setAttribute(
        "aria-label",
        `${plot.title}. Now: ${values.map(({ line, node }) => `${line.label} ${node.textContent}`).join(", ")}.`
      )
    }
  }

  const dataOf = (
    /** @type {Plot} */ plot,
    /** @type {Activity} */ activity
  ) => /** @type {UPlot.AlignedData} */ ([
    momentsOf(activity),
    ...linesOf(plot, activity)
  ])

  const build = async () => {
    const { default: Chart } = await import("uplot")
    const { activity } = world
    if (isGone || activity === null) return
    for (const chart of drawn) chart.destroy()
    drawn = figures.map((figure) => {
      const chart = new Chart(
        optionsOf(figure.plot, figure.place.clientWidth, (index) => drawLegend(figure, index)),
        dataOf(figure.plot, activity),
        figure.place
      )
      // What it says is said by the label of its place.
      chart.root.setAttribute("aria-hidden", "true")
      return chart
    })
  }

  const update = () => {
    const { activity } = world
    if (activity === null) return
    if (drawn.length === 0) void build()
    else figures.forEach(({ plot }, n) => drawn[n]?.setData(dataOf(plot, activity)))
    for (const figure of figures) drawLegend(figure, null)
    drawTable()
  }

  const sizes = new ResizeObserver(() =>
    figures.forEach(({ place }, n) => {
      const chart = drawn[n]
      if (chart !== undefined && chart.width !== place.clientWidth) chart.setSize({ width: place.clientWidth, height })
    })
  )
  for (const { place } of figures) sizes.observe(place)
  const scheme = matchMedia("(prefers-color-scheme: dark)")
  const paintAll = () => {
    for (const { values } of figures) for (const { line, swatch } of values) paint(swatch, line)
  }
  paintAll()
  const rebuild = () => {
    paintAll()
    void build()
  }
  scheme.addEventListener("change", rebuild)

  return {
    node,
    update,
    close: () => {
      isGone = true
      sizes.disconnect()
      scheme.removeEventListener("change", rebuild)
      for (const chart of drawn) chart.destroy()
      drawn = []
    }
  }
}

/** For a short piece of a line. */
const swatch = () => el("canvas", { class: "swatch", width: 44, height: 8, "aria-hidden": "true" })

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Line} line
 */
const paint = (canvas, { colour, dash }) => {
  const pen = canvas.getContext("2d")
  if (pen === null) return
  pen.clearRect(0, 0, canvas.width, canvas.height)
  pen.strokeStyle = colourOf(colour)
  pen.lineWidth = 4
  pen.setLineDash(dash.map((length) => length * 2))
  pen.beginPath()
  pen.moveTo(0, 4)
  pen.lineTo(canvas.width, 4)
  pen.stroke()
}

/** @param {string} name */
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/**
 * @param {Plot} plot
 * @param {number} width
 * @param {(index: number | null | undefined) => void} pointed
 * @returns {UPlot.Options}
 */
const optionsOf = (plot, width, pointed) => {
  const axis = {
    stroke: colourOf("--muted"),
    grid: { stroke: colourOf("--line"), width: 1 },
    ticks: { show: false },
    gap: 6,
    font: "12px system-ui, sans-serif"
  }
  const words = (/** @type {unknown} */ _, /** @type {number[]} */ splits) => splits.map(tick)
  const clock = (/** @type {unknown} */ _, /** @type {number[]} */ splits) =>
    splits.map((at) => hours.format(at * 1_000))
  const hasAge = plot.lines.some((line) => line.axis === "age")
  return {
    width,
    height,
    padding: [8, hasAge ? 0 : 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      y: plot.unit === "ms"
        ? { distr: 3, range: (_, __, max) => [1, power(max ?? 0)] }
        : { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.1)] },
      age: { range: (_, __, max) => [0, Math.max(10_000, (max ?? 0) * 1.1)] }
    },
    series: [
      {},
      ...plot.lines.map((line) => ({
        scale: line.axis === "age" ? "age" : "y",
        stroke: colourOf(line.colour),
        width: 2,
        dash: line.dash,
        points: { show: false },
        spanGaps: false
      }))
    ],
    axes: [
      { ...axis, size: 26, space: 60, values: clock },
      plot.unit === "ms"
        ? {
          ...axis,
          size: 54,
          values: words,
          splits: (_, __, ___, max) => powers.filter((ms) => ms <= max),
          filter: (_, splits) => splits
        }
        : { ...axis, size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] },
      ...(hasAge
        ? [{
          ...axis,
          scale: "age",
          side: /** @type {const} */ (1),
          size: 46,
          grid: { show: false },
          values: words,
          incrs: ages
        }]
        : [])
    ],
    hooks: { setCursor: [(chart) => pointed(chart.cursor.idx)] }
  }
}

/** Where a logarithmic axis of times has its lines (ms), and a plain one its steps. */
const powers = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
const ages = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400].map((seconds) => seconds * 1_000)

/** The power of ten that holds it; at least a second. @param {number} ms */
const power = (ms) => powers.find((one) => one >= Math.max(ms, 1_000)) ?? ms

const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })

/** A number at an axis of times. @param {number} ms */
const tick = (ms) =>
  ms === 0
    ? "0"
    : ms < 1_000
    ? `${ms} ms`
    : ms < 60_000 || ms % 60_000 !== 0
    ? `${ms / 1_000} s`
    : ms < 3_600_000
    ? `${ms / 60_000} min`
    : `${ms / 3_600_000} h`
