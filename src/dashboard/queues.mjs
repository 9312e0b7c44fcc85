/**
 * What the two queues have in common, and in what they differ: the words of the list and the row page for each.
 */
import { inboxStates, outboxStates } from "./states.mjs"
import { discarded } from "./world.mjs"

/** @import { MessageRow, ReplyRow } from "./shapes.ts" */
/** @import { State } from "./states.mjs" */

/** @typedef {MessageRow | ReplyRow} Row */

/**
 * @typedef {object} QueueWords
 * @property {"inbox" | "outbox"} name
 * @property {string} title
 * @property {string} about
 * @property {string} one
 * @property {Record<string, State>} states
 * @property {string} [hidden] A state that is shown only when asked for: what starts no turn is most of some channels.
 * @property {(row: Row) => boolean} canRetry
 * @property {(row: Row) => boolean} canDiscard
 * @property {string} discardMeans
 */

/** @type {QueueWords} */
export const inbox = {
  name: "inbox",
  title: "Inbox",
  about: "Every message that Slack saw acknowledged, and what became of it.",
  one: "message",
  states: inboxStates,
  hidden: "ignored",
  canRetry: (row) => row.state === "failed" || (row.state === "ignored" && !("blanked" in row && row.blanked)),
  canDiscard: ({ state }) => state === "failed" || state === "queued",
  discardMeans: "No turn will ever handle it. The row is kept as ignored until it is deleted by age."
}

/** @type {QueueWords} */
export const outbox = {
  name: "outbox",
  title: "Outbox",
  about: "Every reply that was committed, and whether Slack has it.",
  one: "reply",
  states: outboxStates,
  canRetry: (row) =>
    row.state === "expired" || row.state === "unknown" ||
    (row.state === "failed_terminal" && !("interim" in row && row.interim)),
  canDiscard: (row) =>
    row.state !== "sending" && row.state !== "delivered" && !(row.state === "failed_terminal" &&
      "error" in row && (row.error === discarded || row.interim)),
  discardMeans: "It will never be sent. The row is kept as a dead letter, reason discarded, until it is deleted by age."
}

/** When a row came. @param {Row} row */
export const cameAt = (row) => "enqueuedAt" in row ? row.enqueuedAt : row.receivedAt

/** @param {Row} row @param {QueueWords} words */
export const stateOf = (row, words) => {
  const state = words.states[row.state]
  if ("held" in row && row.held) {
    return {
      word: "needs a person",
      tone: /** @type {const} */ ("bad"),
      means: "may have arrived, and nobody can look it up in Slack"
    }
  }
  if (row.state === "failed_terminal" && "error" in row && row.error === discarded) {
    return { word: "discarded", tone: /** @type {const} */ ("off"), means: "given up by hand" }
  }
  if (row.state === "failed_terminal" && "interim" in row && row.interim) {
    return { word: "not sent", tone: /** @type {const} */ ("off"), means: "progress is sent live or not at all" }
  }
  return state
}
