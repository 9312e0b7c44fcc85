/**
 * The page: which part of it the address names, what in its head holds for all parts, and who is told what is new.
 *
 * A part is told by `load` that rows may have changed, at most once a second and never twice at a time.
 */
import { byId, el, fill, say } from "./element.mjs"
import { listPage } from "./list.mjs"
import { drawWho, hasTokenInAddress, learnSession, loginFromAddress, loginPage } from "./login.mjs"
import { overviewPage } from "./overview.mjs"
import { inbox, outbox } from "./queues.mjs"
import { routeOf } from "./routes.mjs"
import { rowPage } from "./row.mjs"
import { clockTime, tick } from "./times.mjs"
import { hear, listen, world } from "./world.mjs"

/**
 * @typedef {object} Part
 * @property {string} title
 * @property {HTMLElement} node
 * @property {HTMLElement} [first] What has the focus first, where it is not the heading.
 * @property {() => Promise<void>} [load]
 * @property {() => void} [drawStatus]
 * @property {() => void} [drawActivity]
 * @property {() => void} [drawSession]
 * @property {() => void} [tick]
 * @property {() => void} [close]
 */

const main = byId("main")
/** @type {Part | undefined} */
let part
/** Where one was before the login. */
let back = "#/"

/** @returns {Part} */
const partOf = () => {
  const route = routeOf(location.hash)
  if (route.page === "login" || world.closed) return loginPage(back)
  back = location.hash === "" ? "#/" : location.hash
  if (route.page === "overview") return overviewPage()
  if (route.page === "nowhere") return nowhere()
  const words = route.page === "inbox" ? inbox : outbox
  return "id" in route ? rowPage(words, route.id) : listPage(words, route)
}

/** @returns {Part} */
const nowhere = () => ({
  title: "Not found",
  node: el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "There is no such page"),
    el("p", {}, "Go to the ", el("a", { href: "#/" }, "overview"), ".")
  )
})

/** @param {boolean} byPerson The focus follows whoever went somewhere. */
const enter = (byPerson) => {
  part?.close?.()
  part = partOf()
  document.title = `${part.title} · Slackwater`
  const page = location.hash.replace(/^#\/?/, "").split(/[/?]/, 1)[0]
  for (const link of document.querySelectorAll("nav a")) {
    if (!(link instanceof HTMLElement)) continue
    if (link.dataset["page"] === (page === "" ? "overview" : page)) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  fill(main, part.node)
  void load()
  if (!byPerson) return
  scrollTo(0, 0)
  const first = part.first ?? main.querySelector("h1")
  if (first instanceof HTMLElement) first.focus({ preventScroll: true })
}

/** A link with a token may be opened where the page is open already. */
const go = async () => {
  if (hasTokenInAddress()) await loginFromAddress()
  enter(true)
}

const leastBetween = 1_000
/** @type {Part | undefined} Whose rows are being asked for. */
let loading
let isStale = false
let loadedAt = 0
/** @type {ReturnType<typeof setTimeout> | undefined} */
let loadTimer

const load = async () => {
  const mine = part
  if (loading !== undefined && loading === mine) {
    isStale = true
    return
  }
  clearTimeout(loadTimer)
  loading = mine
  isStale = false
  loadedAt = Date.now()
  try {
    await mine?.load?.()
  } finally {
    if (loading === mine) {
      loading = undefined
      if (isStale) loadSoon()
    }
  }
}

const loadSoon = () => {
  if (document.hidden) return
  clearTimeout(loadTimer)
  loadTimer = setTimeout(() => void load(), Math.max(0, loadedAt + leastBetween - Date.now()))
}

const drawLink = () => {
  const link = byId("link")
  const isLost = world.lost !== null
  link.dataset["state"] = isLost ? "lost" : world.closed ? "wait" : "up"
  say(link, world.lost !== null ? `lost at ${clockTime(world.lost)}` : world.closed ? "log in to see" : "live")
  const notices = byId("notices")
  fill(
    notices,
    world.lost !== null &&
      el(
        "p",
        { role: "alert" },
        el("b", {}, "The gateway does not answer "),
        `since ${clockTime(world.lost)}. What you see is from then; trying again.`
      )
  )
}

const drawCounts = () => {
  const { status } = world
  if (status === null) return
  for (
    const [id, dead] of /** @type {const} */ ([
      ["inbox-count", status.inbox.failed],
      ["outbox-count", world.dead.count + status.outbox.expired + status.outbox.held]
    ])
  ) {
    const count = byId(id)
    count.hidden = dead === 0
    fill(count, dead > 0 && [String(dead), el("span", { class: "unseen" }, " to look at")])
  }
}

hear((news) => {
  if (news === "status") {
    if (byId("link").dataset["state"] === "wait") drawLink()
    drawCounts()
    part?.drawStatus?.()
    loadSoon()
  }
  if (news === "activity") part?.drawActivity?.()
  if (news === "link") {
    drawLink()
    // Another run of the gateway knows nothing of the sessions of the last one.
    if (world.lost === null) void learnSession()
  }
  if (news === "session") {
    drawWho(byId("who"))
    drawLink()
    if (world.closed !== wasClosed) {
      wasClosed = world.closed
      enter(false)
    } else part?.drawSession?.()
  }
})
let wasClosed = false

byId("skip").addEventListener("click", (event) => {
  event.preventDefault()
  main.focus()
})
addEventListener("hashchange", () => void go())
document.addEventListener("visibilitychange", loadSoon)
setInterval(() => {
  tick()
  part?.tick?.()
}, 1_000)
// A turn that says something new changes no count, so that the gateway does not call for it.
setInterval(loadSoon, 5_000)

await (hasTokenInAddress() ? loginFromAddress() : learnSession())
drawWho(byId("who"))
enter(false)
listen()
