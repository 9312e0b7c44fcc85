/**
 * The words for states. Every state is told by a word and a sign; the colour only helps.
 */
import { el } from "./element.mjs"

/** @import { Status } from "./shapes.ts" */

/** @typedef {"ok" | "wait" | "work" | "bad" | "warn" | "off"} Tone */
/** @typedef {{ word: string, tone: Tone, means: string }} State */

/** @type {Record<Tone, string>} */
const signs = { ok: "✓", wait: "◷", work: "▸", bad: "✕", warn: "!", off: "–" }

/** @type {Record<string, State>} */
export const inboxStates = {
  queued: { word: "waiting", tone: "wait", means: "stored, not yet handled" },
  processing: { word: "in work", tone: "work", means: "a turn runs over it" },
  done: { word: "done", tone: "ok", means: "handled, its replies are in the outbox" },
  failed: { word: "dead letter", tone: "bad", means: "the handler failed too often; kept until a person decides" },
  ignored: { word: "ignored", tone: "off", means: "starts no turn; the reason is kept" }
}

/** @type {Record<string, State>} */
export const outboxStates = {
  queued: { word: "waiting", tone: "wait", means: "committed, not yet sent" },
  sending: { word: "sending", tone: "work", means: "the call to Slack runs" },
  failed_retryable: {
    word: "sent again soon",
    tone: "warn",
    means: "Slack did not take it; it is sent again by itself"
  },
  unknown: { word: "in doubt", tone: "warn", means: "may have arrived; it is looked up in Slack" },
  delivered: { word: "delivered", tone: "ok", means: "Slack has it" },
  failed_terminal: { word: "dead letter", tone: "bad", means: "not sent, and will not be by itself" },
  expired: { word: "expired", tone: "bad", means: "too old to be sent" }
}

/**
 * @param {State | undefined} state
 * @param {string} name
 */
export const badge = (state, name) => {
  const { means, tone, word } = state ?? { means: "", tone: "off", word: name }
  return el(
    "span",
    { class: "badge", "data-tone": tone, title: means },
    el("span", { class: "sign", "aria-hidden": "true" }, signs[tone]),
    word
  )
}

/** @type {Record<Status["socket"]["state"], State>} */
export const socketStates = {
  starting: { word: "Starting", tone: "wait", means: "the first connection to Slack is being made" },
  connected: { word: "Connected", tone: "ok", means: "Slack's events arrive" },
  rotating: { word: "Being replaced", tone: "work", means: "a new connection takes over; events still arrive" },
  disconnected: { word: "Not connected", tone: "bad", means: "events wait at Slack; a new connection is being made" },
  fatal: { word: "Refused by Slack", tone: "bad", means: "Slack refuses the app or a token" }
}

/** @type {Record<Status["phase"], State>} */
export const phases = {
  starting: { word: "Starting", tone: "wait", means: "" },
  running: { word: "Running", tone: "ok", means: "" },
  draining: { word: "Stopping", tone: "warn", means: "running turns finish, what they committed is sent" },
  stopped: { word: "Stopped", tone: "off", means: "" }
}
