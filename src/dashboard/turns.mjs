/**
 * The turns that run, each with what it says it is doing and a way to cancel it, and the conversations that wait for one.
 */
import { confirm, perform } from "./dialog.mjs"
import { el, sync } from "./element.mjs"
import { ask } from "./gateway.mjs"
import { listAddress } from "./routes.mjs"
import { moment } from "./times.mjs"
import { oneLine, plural } from "./words.mjs"
import { world } from "./world.mjs"

/** @import { MessageRow, RunningTurn } from "./shapes.ts" */

/** @param {() => Promise<void>} changed To be called when a turn was cancelled. */
export const turnsSections = (changed) => {
  const running = el("ul", { class: "turns" })
  const noneRuns = el("p", { class: "empty", hidden: true }, "No turn is running.")
  const waiting = el("ul", { class: "turns" })
  const noneWaits = el("p", { class: "empty", hidden: true }, "No conversation is waiting.")

  const drawTurn = (/** @type {RunningTurn & { admin: boolean }} */ { admin, ...turn }) =>
    el(
      "li",
      {},
      el(
        "div",
        {},
        el(
          "div",
          { class: "by" },
          el(
            "a",
            { href: listAddress("inbox", { conversation: turn.conversation }), "data-act": "where" },
            turn.conversation
          ),
          el(
            "span",
            { class: "quiet" },
            plural(turn.messages, "message"),
            turn.attempt > 1 && `, attempt ${turn.attempt}`,
            ", for ",
            moment(turn.startedAt, "since")
          )
        ),
        el("p", { class: "line" }, oneLine(turn.text)),
        turn.status !== null && turn.status !== "" && el("p", { class: "doing" }, turn.status)
      ),
      admin && el("button", {
        type: "button",
        class: "plain",
        "data-act": "cancel",
        "aria-label": `Cancel the turn of ${turn.conversation}`,
        click: () => void cancel(turn).then(changed)
      }, "Cancel")
    )

  const drawWaiting = (
    /** @type {{ conversation: string, count: number, since: number }} */ { conversation, count, since }
  ) =>
    el(
      "li",
      {},
      el(
        "div",
        { class: "by" },
        el("a", { href: listAddress("inbox", { conversation, state: "queued" }), "data-act": "where" }, conversation),
        el("span", { class: "quiet" }, plural(count, "message"), ", for ", moment(since, "since"))
      )
    )

  return {
    node: el(
      "div",
      { class: "halves" },
      scrolled("running", "Running turns", running, noneRuns),
      scrolled("waits", "Conversations waiting", waiting, noneWaits)
    ),
    /**
     * @param {ReadonlyArray<RunningTurn>} turns
     * @param {ReadonlyArray<MessageRow>} queued
     */
    draw: (turns, queued) => {
      sync(running, turns.map((turn) => ({ ...turn, admin: world.admin })), ({ id }) => id, drawTurn)
      noneRuns.hidden = turns.length > 0
      const conversations = grouped(queued)
      sync(waiting, conversations, ({ conversation }) => conversation, drawWaiting)
      noneWaits.hidden = conversations.length > 0
    }
  }
}

/** @param {RunningTurn} turn */
const cancel = async (turn) => {
  const isSure = await confirm({
    title: "Cancel this turn?",
    text:
      `It stops, and its ${
        turn.messages === 1 ? "message becomes a dead letter" : `${turn.messages} messages become dead letters`
      }. ` +
      "Replies that it has committed are sent.",
    yes: "Cancel the turn",
    no: "Let it run",
    danger: true
  })
  if (!isSure) return
  await perform(
    () => ask(`api/turns/${encodeURIComponent(turn.id)}/cancel`, {}),
    (/** @type {{ cancelled: boolean }} */ { cancelled }) =>
      cancelled ? "The turn is cancelled." : "The turn had ended before."
  )
}

/**
 * A part of one height, whatever is in it.
 *
 * @param {string} id
 * @param {string} title
 * @param {...HTMLElement} children
 */
const scrolled = (id, title, ...children) =>
  el(
    "div",
    {},
    el("h2", { id }, title),
    el("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-labelledby": id }, ...children)
  )

/**
 * The conversations of waiting messages, the longest waiting first.
 *
 * @param {ReadonlyArray<MessageRow>} rows
 */
const grouped = (rows) => {
  /** @type {Map<string, { conversation: string, count: number, since: number }>} */
  const found = new Map()
  for (const { conversation, receivedAt } of rows) {
    const one = found.get(conversation) ?? { conversation, count: 0, since: receivedAt }
    found.set(conversation, { conversation, count: one.count + 1, since: Math.min(one.since, receivedAt) })
  }
  return [...found.values()].toSorted((a, b) => a.since - b.since)
}
