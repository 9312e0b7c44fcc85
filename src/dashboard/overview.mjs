/**
 * What happens now: the connection, both queues, what needs attention, turns that run, conversations that wait, the last
 * hour, and pauses. Parts of changing length keep their height, so that nothing moves when they change.
 */
import { attentionSection } from "./attention.mjs"
import { el, fill, say } from "./element.mjs"
import { ask } from "./gateway.mjs"
import { pausesSection } from "./pauses.mjs"
import { plotsSection } from "./plots.mjs"
import { badge, phases, socketStates } from "./states.mjs"
import { now, rough } from "./times.mjs"
import { turnsSections } from "./turns.mjs"
import { listed, plural } from "./words.mjs"
import { world } from "./world.mjs"

/** @import { MessageRow, Pause, Rows, RunningTurn } from "./shapes.ts" */

/** As many waiting messages are looked at. */
const lookAt = 200

export const overviewPage = () => {
  /** @type {{ turns: ReadonlyArray<RunningTurn>, queued: ReadonlyArray<MessageRow>, pauses: ReadonlyArray<Pause> } | null} */
  let known = null

  const phase = el("span", {})
  const about = el("p", { class: "quiet" })
  const socket = tile("Connection")
  const inbox = tile("Messages waiting")
  const outbox = tile("Replies waiting")
  const active = tile("Turns running")
  const attention = attentionSection()
  const plots = plotsSection()

  const load = async () => {
    try {
      /** @type {[{ turns: ReadonlyArray<RunningTurn> }, { pauses: ReadonlyArray<Pause> }, Rows<MessageRow>]} */
      const [{ turns }, { pauses }, { rows: queued }] = await Promise.all([
        ask("api/turns"),
        ask("api/pauses"),
        world.status?.inbox.queued === 0 ? { rows: [], next: null } : ask(`api/inbox?state=queued&limit=${lookAt}`)
      ])
      known = { turns, queued, pauses }
      drawRows()
    } catch {
      // What is shown stays; the head of the page says that the gateway is lost.
    }
  }
  const turns = turnsSections(load)
  const pauses = pausesSection(load)

  const drawRows = () => {
    if (known === null) return
    turns.draw(known.turns, known.queued)
    pauses.draw(known.pauses)
  }

  /** What grows by itself between two words of the gateway. */
  const drawAges = () => {
    const { status } = world
    if (status === null) return
    const passed = now() - world.statusAt
    const oldest = (/** @type {number | null} */ age) =>
      age === null ? "nothing waits" : `oldest ${rough(age + passed)}`
    const { failed_retryable: again, oldestQueuedAgeMs: age, paused, queued, sending, unknown } = status.outbox
    drawTile(inbox, String(status.inbox.queued), oldest(status.inbox.oldestQueuedAgeMs))
    drawTile(
      outbox,
      String(queued + again + sending),
      listed([oldest(age), unknown > 0 && `${unknown} in doubt`, paused && "sending is held back"])
    )
    say(about, `version ${status.version}, up ${rough(status.uptimeMs + passed)}`)
  }

  const drawStatus = () => {
    const { status } = world
    if (status === null) return
    const { connections, generation, reconnects, state } = status.socket
    fill(phase, badge(phases[status.phase], status.phase))
    drawTile(
      socket,
      badge(socketStates[state], state),
      listed([
        `generation ${generation}`,
        plural(connections, "connection"),
        reconnects > 0 && plural(reconnects, "reconnect"),
        status.network === "down" && "no network"
      ])
    )
    drawTile(active, String(status.conversations.active), `${plural(status.inbox.processing, "message")} in work`)
    drawAges()
    attention.draw(status)
  }

  drawRows()
  drawStatus()
  plots.update()
  return {
    title: "Overview",
    node: el(
      "div",
      {},
      el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Overview"), phase, about),
      el("section", { class: "tiles", "aria-label": "State" }, [socket, inbox, outbox, active].map(({ node }) => node)),
      attention.node,
      turns.node,
      plots.node,
      pauses.node
    ),
    load,
    drawStatus,
    tick: drawAges,
    drawActivity: plots.update,
    drawSession: drawRows,
    close: plots.close
  }
}

/** @param {string} name */
const tile = (name) => {
  const value = el("p", { class: "value" }, "–")
  const more = el("p", { class: "quiet" })
  return { value, more, node: el("div", { class: "panel tile" }, el("h2", {}, name), value, more) }
}

/**
 * @param {ReturnType<typeof tile>} tile
 * @param {Node | string} big
 * @param {string} small
 */
const drawTile = ({ more, value }, big, small) => {
  if (typeof big === "string") say(value, big)
  else fill(value, big)
  say(more, small)
}
