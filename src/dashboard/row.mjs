/**
 * One row of a queue with everything that is known about it: where it stands, why, what happened to it so far, what it
 * belongs to, and what Slack sent or is sent.
 */
import { change } from "./changes.mjs"
import { el, fill } from "./element.mjs"
import { ask, Refused, sentence } from "./gateway.mjs"
import { stateOf } from "./queues.mjs"
import { listAddress, rowAddress } from "./routes.mjs"
import { badge, inboxStates, outboxStates } from "./states.mjs"
import { fullMoment, moment } from "./times.mjs"
import { listed, oneLine, plural } from "./words.mjs"
import { world } from "./world.mjs"

/** @import { Child } from "./element.mjs" */
/** @import { QueueWords } from "./queues.mjs" */
/** @import { MessageDetail, ReplyRow, TurnRecord } from "./shapes.ts" */

/** @typedef {{ at: number | null, what: string, more?: string | null }} Happening */

/**
 * @param {QueueWords} words
 * @param {number} id
 */
export const rowPage = (words, id) => {
  const name = `${words.one === "reply" ? "Reply" : "Message"} ${id}`
  const heading = el("h1", { tabindex: "-1" }, name)
  const state = el("span", {})
  const actions = el("div", { class: "tools" })
  const rest = el("div", {}, el("p", { class: "quiet" }, "loading…"))
  let shown = ""

  const act = (/** @type {"retry" | "discard"} */ action) => async () => {
    await change(words, action, [id])
    await load()
  }

  const draw = (/** @type {MessageDetail | ReplyRow} */ row) => {
    fill(state, badge(stateOf(row, words), row.state))
    const focused = document.activeElement instanceof HTMLElement && actions.contains(document.activeElement)
      ? document.activeElement.dataset["act"]
      : undefined
    /** @type {Child[]} */
    const buttons = [
      words.canRetry(row) &&
      el("button", { type: "button", class: "strong", "data-act": "retry", click: () => void act("retry")() }, "Retry"),
      words.canDiscard(row) &&
      el(
        "button",
        { type: "button", class: "plain", "data-act": "discard", click: () => void act("discard")() },
        "Discard"
      )
    ]
    const isOpen = buttons.some((button) => button !== false)
    fill(
      actions,
      !isOpen
        ? el("span", { class: "quiet" }, "Nothing is to be done about it.")
        : world.admin
        ? buttons
        : el("span", { class: "quiet" }, "Read only: ", el("a", { href: "#/login" }, "log in"), " to retry or discard.")
    )
    if (focused !== undefined) (actions.querySelector("button") ?? heading).focus()
    fill(rest, "enqueuedAt" in row ? replyParts(row) : messageParts(row))
  }

  const load = async () => {
    try {
      /** @type {MessageDetail | ReplyRow} */
      const row = await ask(`api/${words.name}/${id}`)
      const text = JSON.stringify([row, world.admin])
      if (text === shown) return
      shown = text
      draw(row)
    } catch (error) {
      if (world.lost !== null) return
      const text = error instanceof Refused && error.status === 404
        ? "There is no such row. It may have been deleted by age."
        : sentence(error)
      fill(rest, el("p", { class: "problem", role: "alert" }, text))
      shown = ""
    }
  }

  return {
    title: name,
    node: el(
      "div",
      {},
      el("p", { class: "back" }, el("a", { href: listAddress(words.name) }, `← ${words.title}`)),
      el("div", { class: "title" }, heading, state, actions),
      rest
    ),
    load,
    drawSession: () => void load()
  }
}

/**
 * @param {string} title
 * @param {Array<Child>} children
 */
const part = (title, ...children) => el("section", { class: "part" }, el("h2", {}, title), ...children)

/** @param {ReadonlyArray<readonly [string, Child]>} facts */
const factsOf = (facts) =>
  el(
    "dl",
    { class: "facts" },
    facts.filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))
  )

/** Text of people and programs, as it is. @param {string} text @param {string} label @param {string} [kind] */
const block = (text, label, kind) =>
  el("pre", { class: kind, tabindex: "0", role: "region", "aria-label": label }, text)

/** @param {unknown} payload */
const payloadPart = (payload) =>
  payload === null ? null : part("Payload", block(JSON.stringify(payload, null, 2), "Payload"))

/** What happened, the oldest first. @param {ReadonlyArray<Happening>} happenings */
const history = (happenings) => {
  const known = happenings.filter(({ at }) => at !== null).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0))
  return part(
    "History",
    el(
      "ol",
      { class: "history" },
      known.map(({ at, more, what }) =>
        el(
          "li",
          {},
          moment(at),
          el("span", {}, what, more != null && more !== "" && el("span", { class: "why" }, more))
        )
      )
    )
  )
}

/** @param {string} conversation @param {"inbox" | "outbox"} queue */
const conversationLink = (conversation, queue) => el("a", { href: listAddress(queue, { conversation }) }, conversation)

/** @param {MessageDetail} row */
const messageParts = (row) => {
  const turn = row.turnRecord
  const error = row.state === "failed" || row.state === "ignored" ? row.reason : null
  return [
    part("Text", block(row.text === "" ? "(no text)" : row.text, "Text", "prose")),
    error === null ? null : part(row.state === "failed" ? "Error" : "Reason", block(error, "Error")),
    part(
      "Details",
      factsOf([
        ["Conversation", conversationLink(row.conversation, "inbox")],
        ["Kind", row.kind],
        ["From", row.user],
        ["Channel", row.channel],
        ["Slack's ts", row.ts],
        ["Thread", row.thread],
        ["Received", fullMoment(row.receivedAt)],
        [
          "Attempts",
          listed([
            plural(row.attempts, "run"),
            row.failures > 0 && plural(row.failures, "failure"),
            row.crashes > 0 && plural(row.crashes, "crash", "crashes")
          ])
        ],
        ["Turn", row.turn]
      ])
    ),
    turn === null ? null : turnPart(turn, row.id),
    history([
      { at: row.receivedAt, what: "received and stored" },
      ...(turn === null ? [] : [
        { at: turn.createdAt, what: "taken by a turn", more: turn.id },
        { at: turn.finishedAt, what: `the turn ended: ${turn.state}`, more: turn.error }
      ]),
      ...row.byHand.map(({ action, at, reason }) => ({
        at,
        what: action === "retry" ? "retried by hand" : "discarded by hand",
        more: reason === null ? null : `was: ${reason}`
      })),
      { at: row.finishedAt, what: (inboxStates[row.state] ?? { word: row.state }).word }
    ]),
    payloadPart(row.payload)
  ]
}

/**
 * @param {TurnRecord} turn
 * @param {number} own
 */
const turnPart = (turn, own) => {
  const others = turn.messages.filter(({ id }) => id !== own)
  return part(
    "Turn",
    factsOf([
      ["State", turn.state + (turn.interrupted ? ", cut off before its end" : "")],
      ["Says", turn.status],
      ["Steps done", turn.steps.join(", ")],
      [
        "Together with",
        others.length === 0 ?
          null :
          el(
            "ul",
            { class: "plainlist" },
            others.map(({ id, text }) =>
              el("li", {}, el("a", { href: rowAddress("inbox", id) }, `${id}`), ` ${oneLine(text)}`)
            )
          )
      ],
      [
        "Replies",
        turn.replies.length === 0 ?
          "none" :
          el(
            "ul",
            { class: "plainlist" },
            turn.replies.map((reply) =>
              el(
                "li",
                {},
                el("a", { href: rowAddress("outbox", reply.id) }, `${reply.id}`),
                " ",
                badge(outboxStates[reply.state], reply.state),
                ` ${oneLine(reply.text)}`
              )
            )
          )
      ]
    ])
  )
}

/** @param {ReplyRow} row */
const replyParts = (row) => {
  const failed = row.error === null && row.reason === null
    ? null
    : [row.error, row.reason].filter((one) => one !== null && one !== "").join(": ")
  return [
    part("Text", block(row.text === "" ? "(no text)" : row.text, "Text", "prose")),
    failed === null ? null : part("Error", block(failed, "Error")),
    part(
      "Details",
      factsOf([
        ["Conversation", conversationLink(row.conversation, "outbox")],
        ["Kind", row.kind + (row.interim ? ", progress" : "")],
        ["To channel", row.channel],
        ["Thread", row.thread],
        ["Slack's ts", row.ts],
        ["Committed", fullMoment(row.enqueuedAt)],
        ["Attempts", listed([plural(row.tries, "send"), row.attempts > 0 && `${row.attempts} counted`])],
        ["Looks in Slack", row.looks === 0 ? null : String(row.looks)],
        ["Next try", row.state === "failed_retryable" || row.state === "queued" ? fullMoment(row.dueAt) : null],
        [
          "Changes",
          row.target === null ? null : el("a", { href: rowAddress("outbox", row.target) }, `reply ${row.target}`)
        ],
        [
          "Part of",
          row.partOf === null ? null : el("a", { href: rowAddress("outbox", row.partOf) }, `reply ${row.partOf}`)
        ],
        ["Turn", row.turn]
      ])
    ),
    history([
      { at: row.enqueuedAt, what: "committed to the outbox" },
      { at: row.sentAt, what: "last sent to Slack" },
      { at: row.unknownSince, what: "may have arrived; looked up from then on" },
      { at: row.failedAt, what: "failed", more: failed },
      { at: row.retriedAt, what: "retried by hand" },
      { at: row.finishedAt, what: (outboxStates[row.state] ?? { word: row.state }).word }
    ])
  ]
}
