/** Series over time as small plots below each other: one SVG, no script, readable on light and dark. */
export interface Panel {
  readonly title: string
  readonly unit: string
  readonly series: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<number> }>
}

const width = 880
const height = 150
const left = 60
const right = 150
const gap = 44
const colours = ["#2563eb", "#d97706", "#059669", "#dc2626"]

/** 1, 2 or 5 times a power of ten that is not below. */
const ceiling = (value: number) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)))
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power
}

const plot = ({ series, title, unit }: Panel, minutes: ReadonlyArray<number>, top: number) => {
  const last = Math.max(...minutes)
  const most = ceiling(Math.max(...series.flatMap(({ values }) => values.filter(Number.isFinite))))
  const x = (at: number) => left + at / last * (width - left - right)
  const y = (value: number) => top + height - value / most * height
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(share * most)
    return `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#888" stroke-opacity=".3"/>` +
      `<text x="${left - 6}" y="${at + 4}" text-anchor="end">${Number((share * most).toPrecision(3))}</text>`
  })
  const ticks = Array.from({ length: 7 }, (_, n) => {
    const at = last * n / 6
    return `<text x="${x(at)}" y="${top + height + 16}" text-anchor="middle">${at.toFixed(last < 12 ? 1 : 0)}</text>`
  })
  const lines = series.map(({ name, values }, n) => {
    const points = values.flatMap((value, at) =>
      Number.isFinite(value) ? [`${x(minutes[at] ?? 0).toFixed(1)},${y(value).toFixed(1)}`] : []
    )
    const colour = colours[n % colours.length]
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(" ")}"/>` +
      `<text x="${width - right + 10}" y="${top + 14 + n * 18}" fill="${colour}">${name}</text>`
  })
  return `<text x="${left}" y="${top - 8}" font-weight="bold">${title} (${unit})</text>` +
    [...grid, ...ticks, ...lines].join("")
}

export const svg = (heading: string, minutes: ReadonlyArray<number>, panels: ReadonlyArray<Panel>): string => {
  const total = 40 + panels.length * (height + gap) + 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" font-family="system-ui, sans-serif" ` +
    `font-size="12" fill="#777"><text x="${left}" y="18" font-size="14">${heading}</text>` +
    panels.map((panel, n) => plot(panel, minutes, 50 + n * (height + gap))).join("") +
    `<text x="${width - right}" y="${total - 4}" text-anchor="end">minutes</text></svg>\n`
}
