/**
 * Logging in: the admin token is posted once and kept by the browser as a cookie that no script can read. This page
 * never stores it, and wipes it from the address at once.
 */
import { announce } from "./dialog.mjs"
import { el, fill } from "./element.mjs"
import { ask, Refused, sentence } from "./gateway.mjs"
import { listen, setAdmin, world } from "./world.mjs"

/** @param {string} token */
const login = async (token) => {
  await ask("login", { token })
  setAdmin(true)
  listen()
}

let hasToken = true

/** Whether this browser may change something, and whether anybody can. */
export const learnSession = async () => {
  try {
    /** @type {{ readonly loggedIn: boolean, readonly hasToken: boolean }} */
    const session = await ask("api/session")
    hasToken = session.hasToken
    setAdmin(session.loggedIn)
  } catch (error) {
    if (error instanceof Refused) setAdmin(false)
  }
}

export const hasTokenInAddress = () => location.hash.startsWith("#token=")

/** Takes the token out of `#token=…`; the address is wiped before anything else happens. */
export const loginFromAddress = async () => {
  const token = location.hash.slice("#token=".length)
  history.replaceState(null, "", `${location.pathname}${location.search}#/`)
  try {
    await login(decodeURIComponent(token))
  } catch (error) {
    announce(`The link did not log you in: ${sentence(error)}`, "bad")
    await learnSession()
  }
}

/** @param {HTMLElement} who The corner of the page that says who one is. */
export const drawWho = (who) => {
  const focused = who.contains(document.activeElement)
  if (world.admin) {
    const out = el("button", { type: "button", class: "plain", click: () => void logout() }, "Log out")
    fill(who, el("span", { class: "role" }, "Admin"), out)
    if (focused) out.focus()
  } else {
    const to = el("a", { class: "button", href: "#/login" }, "Log in")
    fill(who, el("span", { class: "role" }, world.closed ? "Locked" : "Read only"), to)
    if (focused) to.focus()
  }
}

const logout = async () => {
  try {
    await ask("logout", {})
    setAdmin(false)
    announce("Logged out. This page is read-only now.")
    listen()
  } catch (error) {
    announce(sentence(error), "bad")
  }
}

/** @param {string} back Where to go afterwards. */
export const loginPage = (back) => {
  const field = el("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "token-hint"
  })
  const problem = el("p", { class: "problem", role: "alert" })
  const button = el("button", { class: "strong" }, "Log in")
  const submit = async () => {
    problem.textContent = ""
    button.disabled = true
    try {
      await login(field.value)
      field.value = ""
      announce("Logged in. You can retry, discard, cancel and pause now.")
      location.hash = back
    } catch (error) {
      problem.textContent = error instanceof Refused && error.status === 401
        ? "This is not the gateway's admin token."
        : sentence(error)
      field.select()
      field.focus()
    } finally {
      button.disabled = false
    }
  }
  const form = el(
    "form",
    {
      class: "login",
      submit: (event) => {
        event.preventDefault()
        void submit()
      }
    },
    el("label", { for: "token" }, "Admin token"),
    field,
    problem,
    button
  )
  const node = el(
    "div",
    { class: "narrow" },
    el("h1", { tabindex: "-1" }, "Log in"),
    el(
      "p",
      { id: "token-hint" },
      world.closed
        ? "This gateway listens beyond its own machine, so that reading needs the admin token too."
        : "Reading needs no login here. To retry, discard, cancel or pause, log in with the admin token."
    ),
    hasToken
      ? null
      : el("p", { class: "problem" }, "This gateway runs without a token, so nothing can be changed here yet."),
    form,
    el(
      "p",
      { class: "quiet" },
      "The gateway has the token as ",
      el("code", {}, "SLACKWATER_ADMIN_TOKEN"),
      ". Where none is set, set one, for example to what ",
      el("code", {}, "openssl rand -hex 32"),
      " prints, and start the gateway again. ",
      el("code", {}, "slackwater dev"),
      " makes one itself and hands it over with the link on its chat page."
    )
  )
  return { title: "Log in", node, first: field }
}
