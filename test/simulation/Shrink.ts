/**
 * Makes a failing history smaller: leaves out deeds and faults, in halves and then one by one, as long as the same rule
 * is broken. What is left is the story of the failure.
 */
import { nothingOmitted, type Omitted } from "./Dice.ts"
import { type Outcome, simulate } from "./History.ts"

const mostRuns = 300

export interface Shrunk {
  readonly omitted: Omitted
  readonly outcome: Outcome
  readonly runs: number
}

export const shrink = (seed: number, root: string, patienceMs: number): Shrunk => {
  let omitted: Omitted = nothingOmitted
  let outcome = simulate(seed, root, { keeps: true })
  let runs = 1
  const rule = outcome.violation?.rule
  const until = performance.now() + patienceMs
  const mayGoOn = () => runs < mostRuns && performance.now() < until

  const attempt = (kind: keyof Omitted, more: ReadonlyArray<number>): boolean => {
    const next: Omitted = { ...omitted, [kind]: new Set([...omitted[kind], ...more]) }
    const tried = simulate(seed, root, { omitted: next, keeps: true })
    runs += 1
    if (tried.violation?.rule !== rule) return false
    omitted = next
    outcome = tried
    return true
  }

  /** Leaves out as much as it can, from large pieces to single ones. */
  const reduce = (kind: keyof Omitted, present: () => ReadonlyArray<number>) => {
    for (let size = Math.ceil(present().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < present().length && mayGoOn();) {
        if (!attempt(kind, present().slice(at, at + size))) at += size
      }
    }
  }

  if (rule !== undefined) {
    const faults = () => outcome.drawn.map((_, index) => index).filter((index) => !omitted.faults.has(index))
    reduce("faults", faults)
    reduce("deeds", () => outcome.deeds)
    reduce("faults", faults)
  }
  return { omitted, outcome, runs }
}

/** `3,5-9`. */
export const rangesOf = (numbers: ReadonlySet<number>): string => {
  const sorted = [...numbers].toSorted((a, b) => a - b)
  const ranges: Array<[number, number]> = []
  for (const number of sorted) {
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === number - 1) last[1] = number
    else ranges.push([number, number])
  }
  return ranges.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",")
}

export const numbersIn = (ranges: string): ReadonlySet<number> =>
  new Set(
    ranges.split(",").filter((range) => range !== "").flatMap((range) => {
      const [from = 0, to = from] = range.split("-").map(Number)
      return Array.from({ length: to - from + 1 }, (_, index) => from + index)
    })
  )
