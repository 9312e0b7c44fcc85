/**
 * What wants a person: alarms with what they say, and what ended without success.
 */
import { el, sync } from "./element.mjs"
import { listAddress } from "./routes.mjs"
import { moment } from "./times.mjs"
import { plural } from "./words.mjs"
import { world } from "./world.mjs"

/** @import { Status } from "./shapes.ts" */

/**
 * @typedef {{ key: string, code: string, since: number, text: string }
 *   | { key: string, count: number, more?: boolean, one: string, many: string, about: string, address: string }} Item
 */

export const attentionSection = () => {
  const list = el("ul", { class: "alarms" })
  // Not before the gateway has said so.
  const calm = el(
    "p",
    { class: "calm", hidden: true },
    el("span", { class: "sign", "aria-hidden": "true" }, "✓"),
    "No alarms, no dead letters."
  )
  return {
    node: el(
      "section",
      { "aria-labelledby": "attention" },
      el("h2", { id: "attention" }, "Needs attention"),
      el("div", { class: "panel attention", "aria-live": "polite" }, list, calm)
    ),
    draw: (/** @type {Status} */ status) => {
      const items = itemsOf(status, world.dead)
      sync(list, items, ({ key }) => key, drawItem)
      calm.hidden = items.length > 0
    }
  }
}

/**
 * @param {Status} status
 * @param {typeof world.dead} dead
 * @returns {ReadonlyArray<Item>}
 */
const itemsOf = ({ alarms, inbox, outbox }, dead) => [
  ...alarms.map(({ code, since, text }) => ({ key: `alarm ${code}`, code, since, text })),
  ...[
    {
      key: "inbox",
      count: inbox.failed,
      one: "dead letter",
      many: "dead letters",
      about: "that the handler could not finish",
      address: listAddress("inbox", { state: "failed" })
    },
    {
      key: "outbox",
      count: dead.count,
      more: dead.more,
      one: "dead reply",
      many: "dead replies",
      about: "that Slack did not take",
      address: listAddress("outbox", { state: "failed_terminal" })
    },
    {
      key: "expired",
      count: outbox.expired,
      one: "expired reply",
      many: "expired replies",
      about: "too old to be sent",
      address: listAddress("outbox", { state: "expired" })
    },
    {
      key: "held",
      count: outbox.held,
      one: "reply in doubt",
      many: "replies in doubt",
      about: "that may have arrived, and only a person can tell",
      address: listAddress("outbox", { state: "unknown" })
    }
  ].filter(({ count }) => count > 0)
]

/** @param {Item} item */
const drawItem = (item) => {
  if ("code" in item) {
    return line(
      "bad",
      "!",
      el("b", {}, "Alarm "),
      el("code", {}, item.code),
      " since ",
      moment(item.since, "since"),
      el("p", {}, item.text)
    )
  }
  const { about, address, count, many, more, one } = item
  return line(
    "warn",
    "✕",
    el("a", { href: address, "data-act": "open" }, `${more === true ? "more than " : ""}${plural(count, one, many)}`),
    ` ${about}`
  )
}

/**
 * @param {"warn" | "bad"} tone
 * @param {string} sign
 * @param {...import("./element.mjs").Child} children
 */
const line = (tone, sign, ...children) =>
  el(
    "li",
    { "data-tone": tone },
    el("span", { class: "sign", "aria-hidden": "true" }, sign),
    el("div", {}, ...children)
  )
