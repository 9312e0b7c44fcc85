/**
 * A queue as a table, newest first: filter by state and conversation, more on demand, changes for whoever is logged in.
 *
 * It follows the gateway by itself. Rows that come at the top wait behind a button while somebody reads, points or has
 * chosen rows below, so that nothing moves under a finger.
 */
import { change } from "./changes.mjs"
import { el, fill, say, sync } from "./element.mjs"
import { ask, sentence } from "./gateway.mjs"
import { cameAt, stateOf } from "./queues.mjs"
import { listAddress, rowAddress } from "./routes.mjs"
import { badge } from "./states.mjs"
import { moment } from "./times.mjs"
import { oneLine } from "./words.mjs"
import { world } from "./world.mjs"

/** @import { QueueWords, Row } from "./queues.mjs" */
/** @import { Rows } from "./shapes.ts" */

const pageSize = 50
/** What the gateway shows at once, and what is looked at again when something is new. */
const mostAtOnce = 200

/**
 * @param {QueueWords} words
 * @param {{ state: string, conversation: string }} filter
 */
export const listPage = (words, filter) => {
  /** @type {ReadonlyArray<Row>} */
  let rows = []
  /** Newer ones that are not shown yet. @type {ReadonlyArray<Row>} */
  let held = []
  /** @type {number | null} */
  let next = null
  /** @type {Set<number>} */
  const chosen = new Set()
  let loaded = false

  const heading = el("h1", { tabindex: "-1" }, words.title)
  const stateField = el(
    "select",
    { id: "state", name: "state" },
    el("option", { value: "" }, words.hidden === undefined ? "all states" : `all but ${words.hidden}`),
    words.hidden === undefined ? null : el("option", { value: "all", selected: filter.state === "all" }, "all states"),
    Object.entries(words.states).map(([name, { word }]) =>
      el("option", { value: name, selected: name === filter.state }, word === name ? word : `${word} (${name})`)
    )
  )
  const conversationField = el("input", {
    id: "conversation",
    name: "conversation",
    type: "search",
    value: filter.conversation,
    placeholder: "C0…/1700000000.000100",
    autocomplete: "off",
    spellcheck: "false"
  })
  const go = () => {
    location.hash = listAddress(words.name, { state: stateField.value, conversation: conversationField.value.trim() })
  }
  stateField.addEventListener("change", go)
  conversationField.addEventListener("search", go)
  const filters = el(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": `Filter the ${words.title.toLowerCase()}`,
      submit: (event) => {
        event.preventDefault()
        go()
      }
    },
    el("label", { for: "state" }, "State", stateField),
    el("label", { for: "conversation" }, "Conversation", conversationField),
    el("button", { class: "plain" }, "Filter")
  )

  const newer = el("button", { type: "button", class: "plain newer", hidden: true, click: () => show() })
  const tools = el("div", { class: "tools", role: "group", "aria-label": "With the chosen rows" })
  const count = el("span", { class: "quiet", role: "status" }, "loading…")
  const body = el("tbody", { role: "rowgroup" })
  const head = el("tr", { role: "row" })
  const table = el(
    "table",
    { class: "rows", role: "table", "aria-label": words.title },
    el("thead", { role: "rowgroup" }, head),
    body
  )
  const empty = el("p", { class: "empty", hidden: true })
  const more = el(
    "button",
    { type: "button", class: "plain more", hidden: true, click: () => void loadMore() },
    "Show older"
  )
  const problem = el("p", { class: "problem", role: "alert" })

  /** @param {{ before?: number, limit: number }} page */
  const address = ({ before, limit }) => {
    const query = new URLSearchParams({ limit: String(limit) })
    const usual = Object.keys(words.states).filter((name) => name !== words.hidden)
    if (filter.state === "" && words.hidden !== undefined) query.set("state", usual.join(","))
    else if (filter.state !== "all" && filter.state !== "") query.set("state", filter.state)
    if (filter.conversation !== "") query.set("conversation", filter.conversation)
    if (before !== undefined) query.set("before", String(before))
    return `api/${words.name}?${query}`
  }

  const act = (/** @type {"retry" | "discard"} */ action) => async () => {
    const can = action === "retry" ? words.canRetry : words.canDiscard
    await change(words, action, rows.filter((row) => chosen.has(row.id) && can(row)).map(({ id }) => id))
    chosen.clear()
    await load()
    draw()
  }
  const retry = el("button", { type: "button", class: "plain", disabled: true, click: () => void act("retry")() })
  const discard = el("button", { type: "button", class: "plain", disabled: true, click: () => void act("discard")() })
  const all = el("input", {
    type: "checkbox",
    "aria-label": "Choose all rows",
    change: () => {
      if (all.checked) { for (const row of rows) chosen.add(row.id) }
      else chosen.clear()
      for (const box of body.querySelectorAll("input")) box.checked = all.checked
      drawTools()
    }
  })

  const drawTools = () => {
    const able = (/** @type {(row: Row) => boolean} */ can) =>
      rows.filter((row) => chosen.has(row.id) && can(row)).length
    const [again, away] = [able(words.canRetry), able(words.canDiscard)]
    say(retry, `Retry ${again > 0 ? again : "chosen"}`)
    retry.disabled = again === 0
    say(discard, `Discard ${away > 0 ? away : "chosen"}`)
    discard.disabled = away === 0
    all.checked = rows.length > 0 && chosen.size === rows.length
    all.indeterminate = chosen.size > 0 && chosen.size < rows.length
  }

  const drawHead = () => {
    const column = (/** @type {string} */ name, /** @type {string} */ kind) =>
      el("th", { role: "columnheader", scope: "col", class: kind }, name)
    fill(
      head,
      world.admin && el("th", { role: "columnheader", scope: "col", class: "choose" }, all),
      column("State", "state"),
      column(words.name === "inbox" ? "Message" : "Reply", "text"),
      column("Conversation", "where"),
      column(words.name === "inbox" ? "Received" : "Committed", "when")
    )
    fill(
      tools,
      world.admin
        ? [retry, discard]
        : el("span", { class: "quiet" }, "Read only: ", el("a", { href: "#/login" }, "log in"), " to retry or discard.")
    )
  }

  const drawRow = (/** @type {Row & { admin: boolean }} */ row) => {
    const text = oneLine(row.text)
    const kind = row.kind === null || row.kind === "message" || row.kind === "Post" ? null : row.kind
    const why = "error" in row && row.error !== null ? `${row.error}: ${row.reason ?? ""}` : row.reason
    const cell = (/** @type {string} */ kind, /** @type {Array<import("./element.mjs").Child>} */ ...children) =>
      el("td", { role: "cell", class: kind }, ...children)
    const box = el("input", {
      type: "checkbox",
      "data-act": "choose",
      "aria-label": `Choose ${words.one} ${row.id}`,
      change: () => {
        if (box.checked) chosen.add(row.id)
        else chosen.delete(row.id)
        drawTools()
      }
    })
    box.checked = chosen.has(row.id)
    return el(
      "tr",
      { role: "row" },
      row.admin && cell("choose", el("label", {}, box)),
      cell("state", badge(stateOf(row, words), row.state)),
      cell(
        "text",
        el(
          "div",
          {},
          el("span", { class: "number", "aria-hidden": "true" }, row.id),
          el(
            "div",
            {},
            el("a", {
              class: "said",
              href: rowAddress(words.name, row.id),
              "data-act": "open",
              "aria-label": `${words.one} ${row.id}: ${text}`
            }, text),
            kind !== null && el("span", { class: "kind" }, kind),
            why !== null && el("span", { class: "why" }, oneLine(why))
          )
        )
      ),
      cell(
        "where",
        el("a", {
          href: listAddress(words.name, { ...filter, conversation: row.conversation }),
          "data-act": "where"
        }, row.conversation)
      ),
      cell("when", moment(cameAt(row)))
    )
  }

  const draw = () => {
    // Whether somebody is logged in belongs to what a row is drawn from.
    sync(body, rows.map((row) => ({ ...row, admin: world.admin })), ({ id }) => id, drawRow)
    const any = rows.length > 0
    table.hidden = !any
    empty.hidden = any || !loaded
    say(
      empty,
      filter.state === "" && filter.conversation === ""
        ? `There is no ${words.one} yet.`
        : `No ${words.one} is like that.`
    )
    more.hidden = next === null
    newer.hidden = held.length === 0
    say(newer, `Show ${held.length} newer`)
    if (loaded) say(count, `${rows.length}${next === null ? "" : " newest"} shown`)
    drawTools()
  }

  const show = () => {
    rows = [...held, ...rows]
    held = []
    draw()
    table.querySelector("a")?.focus()
  }

  /** Whether somebody is busy with the rows, so that none may move. */
  const isRead = () =>
    scrollY > 160 || chosen.size > 0 || body.contains(document.activeElement) || body.matches(":hover")

  const load = async () => {
    try {
      /** @type {Rows<Row>} */
      const answer = await ask(address({ limit: Math.min(mostAtOnce, Math.max(pageSize, rows.length)) }))
      const known = new Set(rows.map(({ id }) => id))
      const first = rows[0]?.id ?? 0
      const isNew = (/** @type {Row} */ { id }) => id > first && !known.has(id)
      held = loaded && rows.length > 0 && isRead() ? answer.rows.filter(isNew) : []
      // Of a long list the older rows stay as they were.
      const last = answer.rows.at(-1)?.id ?? 0
      const older = answer.next === null ? [] : rows.filter(({ id }) => id < last)
      rows = [...(held.length > 0 ? answer.rows.filter((row) => !isNew(row)) : answer.rows), ...older]
      if (older.length === 0) next = answer.next
      loaded = true
      for (const id of chosen) if (!rows.some((row) => row.id === id)) chosen.delete(id)
      say(problem, "")
      draw()
    } catch (error) {
      if (world.lost === null) say(problem, sentence(error))
    }
  }

  const loadMore = async () => {
    try {
      const last = rows.at(-1)
      /** @type {Rows<Row>} */
      const answer = await ask(address({ limit: pageSize, ...(last === undefined ? {} : { before: last.id }) }))
      rows = [...rows, ...answer.rows]
      next = answer.next
      draw()
      body.rows.item(rows.length - answer.rows.length)?.querySelector("a")?.focus()
    } catch (error) {
      say(problem, sentence(error))
    }
  }

  drawHead()
  const node = el(
    "div",
    {},
    el("div", { class: "title" }, heading, el("p", { class: "quiet" }, words.about)),
    filters,
    el("div", { class: "above" }, tools, newer, count),
    problem,
    table,
    empty,
    more
  )
  return {
    title: words.title,
    node,
    load,
    drawSession: () => {
      if (!world.admin) chosen.clear()
      drawHead()
      draw()
    }
  }
}
