/**
 * What the page knows of the gateway, and how it hears of it: server-sent events, and where they stop coming, a question
 * now and then. When the gateway is lost the page says so, keeps what it has, and tries again.
 */
import { ask, Refused } from "./gateway.mjs"
import { now } from "./times.mjs"

/** @import { Activity, ReplyRow, Rows, Status } from "./shapes.ts" */

/** The class of a reply that a person has given up. */
export const discarded = "Discarded"

export const world = {
  /** @type {Status | null} */
  status: null,
  /** When `status` was true. */
  statusAt: 0,
  /** @type {Activity | null} */
  activity: null,
  /** Replies that failed for good and that nobody has discarded; `more` where there may be others. */
  dead: { count: 0, more: false },
  /** Whether this browser may change something. */
  admin: false,
  /** @type {number | null} Since when the gateway does not answer. */
  lost: null,
  /** The gateway shows nothing without the token. */
  closed: false
}

/** @typedef {"status" | "activity" | "link" | "session"} News */

/** @type {Set<(news: News) => void>} */
const listeners = new Set()

/**
 * Calls with what is new, until the answered function is called.
 *
 * @param {(news: News) => void} listener
 */
export const hear = (listener) => {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** @param {News} news */
const tell = (news) => {
  for (const listener of listeners) listener(news)
}

/** @param {boolean} admin */
export const setAdmin = (admin) => {
  if (world.admin === admin) return
  world.admin = admin
  tell("session")
}

/** @param {Status} status */
const takeStatus = (status) => {
  world.status = status
  world.statusAt = now()
  heardAt = Date.now()
  tell("status")
  void learnDead(status.outbox.failed_terminal)
}

const lookAt = 200
const lookEvery = 10_000
let lookedFor = 0
let lookedAt = 0

/**
 * The gateway counts those that somebody has discarded with the dead ones, and they want nobody any more.
 *
 * @param {number} ended How many there are of both.
 */
const learnDead = async (ended) => {
  if (ended === lookedFor && (ended === 0 || Date.now() - lookedAt < lookEvery)) return
  lookedFor = ended
  lookedAt = Date.now()
  try {
    /** @type {Rows<ReplyRow>} */
    const { next, rows } = ended === 0
      ? { next: null, rows: [] }
      : await ask(`api/outbox?state=failed_terminal&limit=${lookAt}`)
    const count = rows.filter(({ error, interim }) => !interim && error !== discarded).length
    if (count === world.dead.count && (next !== null) === world.dead.more) return
    world.dead = { count, more: next !== null }
    tell("status")
  } catch {
    lookedAt = 0
  }
}

/** After a change by hand. */
export const lookAgain = () => {
  lookedAt = 0
  if (world.status !== null) void learnDead(world.status.outbox.failed_terminal)
}

/** @param {Activity} activity */
const takeActivity = (activity) => {
  world.activity = activity
  heardAt = Date.now()
  tell("activity")
}

/** @param {number | null} lost */
const setLost = (lost) => {
  const before = world.lost
  world.lost = lost
  if ((before === null) !== (lost === null)) tell("link")
}

/** @param {boolean} closed */
const setClosed = (closed) => {
  if (world.closed === closed) return
  world.closed = closed
  tell("session")
}

const firstWait = 1_000
const longestWait = 10_000
/** Without a word for so long the gateway is asked, since some proxies hold events back. */
const silence = 20_000

let heardAt = 0
let wait = firstWait
/** @type {EventSource | undefined} */
let stream
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer

const connect = () => {
  clearTimeout(timer)
  stream?.close()
  stream = new EventSource("api/events")
  stream.addEventListener("open", () => {
    wait = firstWait
    setClosed(false)
    setLost(null)
  })
  stream.addEventListener("status", (event) => takeStatus(JSON.parse(event.data)))
  stream.addEventListener("activity", (event) => takeActivity(JSON.parse(event.data)))
  stream.addEventListener("error", () => {
    stream?.close()
    stream = undefined
    void again()
  })
}

/** What an event stream cannot say: whether the gateway is away, or wants the token first. */
const again = async () => {
  try {
    takeStatus(await ask("api/status"))
    setClosed(false)
    setLost(null)
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return setClosed(true)
    setLost(world.lost ?? now())
  }
  timer = setTimeout(connect, wait)
  wait = Math.min(longestWait, wait * 2)
}

/** Begins to listen; called again, begins anew (after a login). */
export const listen = () => {
  wait = firstWait
  connect()
}

setInterval(() => {
  if (stream === undefined || document.hidden || Date.now() - heardAt < silence) return
  heardAt = Date.now()
  ask("api/status").then(takeStatus, () => {
    stream?.close()
    stream = undefined
    void again()
  })
}, 5_000)
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && world.lost !== null) listen()
})
