/**
 * What happens now: the connection, both queues, alarms, turns that run, conversations that wait, pauses, and the last
 * hour. Parts of changing length keep their height, so that nothing moves when they change.
 */
import { confirm, perform } from "./dialog.mjs"
import { el, fill, say, sync } from "./element.mjs"
import { ask } from "./gateway.mjs"
import { plotsSection } from "./plots.mjs"
import { oneLine } from "./queues.mjs"
import { listAddress } from "./routes.mjs"
import { badge, phases, socketStates } from "./states.mjs"
import { moment, now, rough } from "./times.mjs"
import { world } from "./world.mjs"

/** @import { MessageRow, Pause, Rows, RunningTurn, Status } from "./shapes.ts" */

/** As many waiting messages are looked at. */
const lookAt = 200

export const overviewPage = () => {
  /** @type {ReadonlyArray<RunningTurn>} */
  let turns = []
  /** @type {ReadonlyArray<Pause>} */
  let pauses = []
  /** @type {ReadonlyArray<{ conversation: string, count: number, since: number }>} */
  let waiting = []

  const phase = el("span", {})
  const about = el("p", { class: "quiet" })
  const tiles = {
    socket: tile("Connection"),
    inbox: tile("Messages waiting"),
    outbox: tile("Replies waiting"),
    turns: tile("Turns running")
  }
  const alarms = el("ul", { class: "alarms" })
  const calm = el(
    "p",
    { class: "calm" },
    el("span", { class: "sign", "aria-hidden": "true" }, "✓"),
    "No alarms, no dead letters."
  )
  const turnList = el("ul", { class: "turns" })
  const noTurns = el("p", { class: "empty" }, "No turn is running.")
  const waitingList = el("ul", { class: "turns" })
  const noWaiting = el("p", { class: "empty" }, "No conversation is waiting.")
  const pauseList = el("ul", { class: "turns" })
  const noPauses = el("p", { class: "empty" }, "Nothing is paused.")
  const pauseTools = el("div", { class: "pausing" })
  const plots = plotsSection()

  const node = el(
    "div",
    {},
    el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Overview"), phase, about),
    el(
      "section",
      { "aria-labelledby": "attention" },
      el("h2", { id: "attention" }, "Needs attention"),
      el("div", { class: "panel attention", "aria-live": "polite" }, alarms, calm)
    ),
    el("section", { class: "tiles", "aria-label": "State" }, Object.values(tiles).map(({ node }) => node)),
    el(
      "div",
      { class: "halves" },
      scrolled("running", "Running turns", turnList, noTurns),
      scrolled("waits", "Conversations waiting", waitingList, noWaiting)
    ),
    plots.node,
    el(
      "section",
      { "aria-labelledby": "pauses" },
      el("h2", { id: "pauses" }, "Pauses"),
      el(
        "div",
        { class: "panel" },
        el(
          "p",
          { class: "quiet" },
          "What is paused is stored and acknowledged, and no turn begins. Turns that run go on, and replies are sent."
        ),
        pauseList,
        noPauses,
        pauseTools
      )
    )
  )

  const drawTile = (
    /** @type {ReturnType<typeof tile>} */ { more, value },
    /** @type {Node | string} */ big,
    /** @type {string} */ small
  ) => {
    if (typeof big === "string") say(value, big)
    else fill(value, big)
    say(more, small)
  }

  const drawStatus = () => {
    const { status } = world
    if (status === null) return
    const { inbox, socket } = status
    fill(phase, badge(phases[status.phase], status.phase))
    drawAges()
    const state = socketStates[socket.state]
    drawTile(
      tiles.socket,
      badge(state, socket.state),
      [
        `generation ${socket.generation}`,
        plural(socket.connections, "connection"),
        socket.reconnects > 0 ? plural(socket.reconnects, "reconnect") : "",
        status.network === "down" ? "network down" : ""
      ].filter((part) => part !== "").join(", ")
    )
    drawTile(tiles.turns, String(status.conversations.active), plural(inbox.processing, "message") + " in work")
    drawAttention(status)
  }

  /** What grows by itself between two words of the gateway. */
  const drawAges = () => {
    const { status } = world
    if (status === null) return
    const { inbox, outbox } = status
    const passed = now() - world.statusAt
    const oldest = (/** @type {number | null} */ age) =>
      age === null ? "nothing waits" : `oldest ${rough(age + passed)}`
    drawTile(tiles.inbox, String(inbox.queued), oldest(inbox.oldestQueuedAgeMs))
    drawTile(
      tiles.outbox,
      String(outbox.queued + outbox.failed_retryable + outbox.sending),
      [
        oldest(outbox.oldestQueuedAgeMs),
        outbox.unknown > 0 ? `${outbox.unknown} in doubt` : "",
        outbox.paused ? "sending paused" : ""
      ]
        .filter((part) => part !== "").join(", ")
    )
    say(about, `version ${status.version}, up ${rough(status.uptimeMs + passed)}`)
  }

  const drawAttention = (/** @type {Status} */ { alarms: raised, inbox, outbox }) => {
    const dead = [
      {
        key: "inbox",
        count: inbox.failed,
        text: "that the handler could not finish",
        one: "dead letter",
        many: "dead letters",
        address: listAddress("inbox", { state: "failed" })
      },
      {
        key: "outbox",
        count: outbox.failed_terminal,
        text: "that Slack did not take",
        one: "dead reply",
        many: "dead replies",
        address: listAddress("outbox", { state: "failed_terminal" })
      },
      {
        key: "expired",
        count: outbox.expired,
        text: "too old to be sent",
        one: "expired reply",
        many: "expired replies",
        address: listAddress("outbox", { state: "expired" })
      },
      {
        key: "held",
        count: outbox.held,
        text: "that may have arrived, and only a person can tell",
        one: "reply in doubt",
        many: "replies in doubt",
        address: listAddress("outbox", { state: "unknown" })
      }
    ].filter(({ count }) => count > 0)
    sync(
      alarms,
      [
        ...raised.map(({ code, since, text }) => ({ key: `alarm ${code}`, code, since, text })),
        ...dead
      ],
      ({ key }) => key,
      (item) =>
        "code" in item
          ? el(
            "li",
            { "data-tone": "bad" },
            el("span", { class: "sign", "aria-hidden": "true" }, "!"),
            el(
              "div",
              {},
              el("b", {}, "Alarm "),
              el("code", {}, item.code),
              " since ",
              moment(item.since, "since"),
              el("p", {}, item.text)
            )
          )
          : el(
            "li",
            { "data-tone": "warn" },
            el("span", { class: "sign", "aria-hidden": "true" }, "✕"),
            el(
              "div",
              {},
              el("a", { href: item.address, "data-act": "open" }, plural(item.count, item.one, item.many)),
              ` ${item.text}`
            )
          )
    )
    calm.hidden = raised.length + dead.length > 0
  }

  const cancel = async (/** @type {RunningTurn} */ turn) => {
    const isSure = await confirm({
      title: "Cancel this turn?",
      text:
        `It stops, and its ${
          turn.messages === 1 ? "message becomes a dead letter" : `${turn.messages} messages become dead letters`
        }. ` +
        "Replies that it has committed are sent.",
      yes: "Cancel the turn",
      danger: true
    })
    if (!isSure) return
    await perform(
      () => ask(`api/turns/${encodeURIComponent(turn.id)}/cancel`, {}),
      (/** @type {{ cancelled: boolean }} */ { cancelled }) =>
        cancelled ? "The turn is cancelled." : "The turn had ended before."
    )
    await load()
  }

  const drawTurns = () => {
    sync(
      turnList,
      turns.map((turn) => ({ ...turn, admin: world.admin })),
      ({ id }) => id,
      ({ admin, ...turn }) =>
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
            el("p", { class: "said" }, oneLine(turn.text)),
            turn.status !== null && turn.status !== "" && el("p", { class: "doing" }, turn.status)
          ),
          admin && el("button", {
            type: "button",
            class: "plain",
            "data-act": "cancel",
            "aria-label": `Cancel the turn of ${turn.conversation}`,
            click: () => void cancel(turn)
          }, "Cancel")
        )
    )
    noTurns.hidden = turns.length > 0
    sync(
      waitingList,
      waiting,
      ({ conversation }) => conversation,
      ({ conversation, count, since }) =>
        el(
          "li",
          {},
          el(
            "div",
            { class: "by" },
            el(
              "a",
              { href: listAddress("inbox", { conversation, state: "queued" }), "data-act": "where" },
              conversation
            ),
            el("span", { class: "quiet" }, plural(count, "message"), ", for ", moment(since, "since"))
          )
        )
    )
    noWaiting.hidden = waiting.length > 0
  }

  const drawPauses = () => {
    sync(
      pauseList,
      pauses.map((pause) => ({ ...pause, admin: world.admin })),
      ({ conversation }) => conversation ?? "",
      ({ admin, conversation, since }) =>
        el(
          "li",
          {},
          el(
            "div",
            { class: "by" },
            el("b", {}, el("span", { class: "sign", "aria-hidden": "true" }, "❙❙ "), conversation ?? "Everything"),
            el("span", { class: "quiet" }, "paused for ", moment(since, "since"))
          ),
          admin && el("button", {
            type: "button",
            class: "plain",
            "data-act": "resume",
            "aria-label": conversation === null ? "Resume everything" : `Resume ${conversation}`,
            click: () => void pausing("resume", conversation)
          }, "Resume")
        )
    )
    noPauses.hidden = pauses.length > 0
  }

  const pausing = async (/** @type {"pause" | "resume"} */ action, /** @type {string | null} */ conversation) => {
    const what = conversation ?? "everything"
    await perform(
      () => ask(`api/${action}`, conversation === null ? {} : { conversation }),
      () => action === "pause" ? `Paused: ${what}.` : `Resumed: ${what}.`
    )
    await load()
  }

  const drawPauseTools = () => {
    if (!world.admin) {
      return fill(
        pauseTools,
        el(
          "span",
          { class: "quiet" },
          "Read only: ",
          el("a", { href: "#/login" }, "log in"),
          " to pause, resume or cancel."
        )
      )
    }
    const field = el("input", {
      id: "pause-what",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "C0…/1700000000.000100"
    })
    const form = el(
      "form",
      {
        submit: (event) => {
          event.preventDefault()
          const conversation = field.value.trim()
          if (conversation === "") return field.focus()
          field.value = ""
          void pausing("pause", conversation)
        }
      },
      el("label", { for: "pause-what" }, "Conversation or channel", field),
      el("button", { class: "plain" }, "Pause it")
    )
    const everything = async () => {
      const text = "New messages are stored and wait until somebody resumes, also over a restart."
      if (await confirm({ title: "Pause everything?", text, yes: "Pause everything" })) await pausing("pause", null)
    }
    fill(
      pauseTools,
      form,
      el("button", { type: "button", class: "plain", click: () => void everything() }, "Pause everything")
    )
  }

  const load = async () => {
    try {
      /** @type {[{ turns: ReadonlyArray<RunningTurn> }, { pauses: ReadonlyArray<Pause> }, Rows<MessageRow>]} */
      const [running, paused, queued] = await Promise.all([
        ask("api/turns"),
        ask("api/pauses"),
        (world.status?.inbox.queued ?? 1) > 0 ? ask(`api/inbox?state=queued&limit=${lookAt}`) : { rows: [], next: null }
      ])
      turns = running.turns
      pauses = paused.pauses
      waiting = grouped(queued.rows)
      drawTurns()
      drawPauses()
    } catch {
      // What is shown stays; the head of the page says that the gateway is lost.
    }
  }

  drawPauseTools()
  drawTurns()
  drawPauses()
  drawStatus()
  plots.update()
  return {
    title: "Overview",
    node,
    load,
    drawStatus,
    tick: drawAges,
    drawActivity: plots.update,
    drawSession: () => {
      drawPauseTools()
      drawTurns()
      drawPauses()
    },
    close: plots.close
  }
}

/** @param {number} count @param {string} one @param {string} [many] */
const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** @param {string} name */
const tile = (name) => {
  const value = el("p", { class: "value" }, "–")
  const more = el("p", { class: "quiet" })
  return { value, more, node: el("div", { class: "panel tile" }, el("h3", {}, name), value, more) }
}

/**
 * @param {string} id
 * @param {string} title
 * @param {...HTMLElement} children
 */
const scrolled = (id, title, ...children) =>
  el(
    "section",
    { "aria-labelledby": id },
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
