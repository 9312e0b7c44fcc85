/** Times for people. */
import { DateTime } from "effect"

const units = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]] as const

/** For how long, about: the largest unit alone. */
export const ageOf = (ms: number): string => {
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ["s", 1_000]
  return `${Math.max(0, Math.floor(ms / size))}${unit}`
}

/** The same with the unit below it. */
export const longFor = (ms: number): string => {
  const at = units.findIndex(([, size]) => ms >= size)
  const [unit, size] = units[at === -1 ? units.length - 1 : at] ?? ["s", 1_000]
  const [small, smaller] = units[at + 1] ?? ["", 0]
  const whole = Math.max(0, Math.floor(ms / size))
  const rest = at === -1 || smaller === 0 ? 0 : Math.floor((ms - whole * size) / smaller)
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit} ${rest}${small}`
}

/** To the millisecond, as it is stored. */
export const momentOf = (at: number): string => DateTime.formatIso(DateTime.makeUnsafe(at))

/** Seconds, and no smaller. */
export const secondOf = (at: number): string => momentOf(at).replace(/\.\d+Z$/, "Z")

/** Null for what has not been. */
export const momentOrNull = (at: number | null): string | null => at === null ? null : momentOf(at)
