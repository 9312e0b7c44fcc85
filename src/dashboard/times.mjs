/**
 * Moments and durations. Moments are those of the gateway's clock: how far ours is off is read from its answers.
 */
import { el } from "./element.mjs"

let offset = 0

/** Now, by the gateway's clock (epoch ms). */
export const now = () => Date.now() + offset

/**
 * @param {string | null} date The `date` header of an answer; it has whole seconds.
 */
export const setClock = (date) => {
  const at = date === null ? Number.NaN : Date.parse(date)
  if (Number.isNaN(at)) return
  const off = at + 500 - Date.now()
  offset = Math.abs(off) < 2_000 ? 0 : off
}

/**
 * @param {number | null} ms
 * @returns {string}
 */
export const duration = (ms) => {
  if (ms === null) return "–"
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = ms / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  return rough(ms)
}

/**
 * @param {number} ms
 * @returns {string}
 */
export const rough = (ms) => {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 || hours > 9 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} days`
}

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" })

/** @param {number} at */
export const clockTime = (at) => clock.format(at)

/**
 * @param {number} at
 * @param {string | undefined} form
 */
const relative = (at, form) => {
  const ms = now() - at
  if (form === "since") return rough(ms)
  return ms < -1_000 ? `in ${rough(-ms)}` : ms < 2_000 ? "just now" : `${rough(ms)} ago`
}

/**
 * A moment: how long ago, and in its title when. `since` leaves out the "ago".
 *
 * @param {number | null | undefined} at
 * @param {"ago" | "since"} [form]
 */
export const moment = (at, form = "ago") =>
  at == null ? "–" : el("time", {
    datetime: new Date(at).toISOString(),
    title: absolute.format(at),
    "data-at": at,
    "data-form": form
  }, relative(at, form))

/** A moment in full, and behind it how long ago. @param {number | null | undefined} at */
export const fullMoment = (at) => at == null ? "–" : el("span", {}, `${absolute.format(at)} (`, moment(at), ")")

/** Brings every moment on the page up to date. */
export const tick = () => {
  for (const node of document.querySelectorAll("time[data-at]")) {
    if (!(node instanceof HTMLElement)) continue
    const text = relative(Number(node.dataset["at"]), node.dataset["form"])
    if (node.textContent !== text) node.textContent = text
  }
}
