/**
 * What is paused, and pausing: everything, a channel or a conversation. What is paused is stored and acknowledged, and no
 * turn begins, until somebody resumes it; a restart changes nothing of it.
 */
import { confirm, perform } from "./dialog.mjs"
import { el, fill, sync } from "./element.mjs"
import { ask } from "./gateway.mjs"
import { moment } from "./times.mjs"
import { world } from "./world.mjs"

/** @import { Pause } from "./shapes.ts" */

/** @param {() => Promise<void>} changed To be called when something was paused or resumed. */
export const pausesSection = (changed) => {
  const list = el("ul", { class: "turns" })
  const none = el("p", { class: "empty", hidden: true }, "Nothing is paused.")
  const tools = el("div", { class: "pausing" })
  const field = el("input", {
    id: "pause-what",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "C0… or C0…/1700000000.000100"
  })

  const act = async (/** @type {"pause" | "resume"} */ action, /** @type {string | null} */ conversation) => {
    const what = conversation ?? "everything"
    await perform(
      () => ask(`api/${action}`, conversation === null ? {} : { conversation }),
      () => action === "pause" ? `Paused: ${what}.` : `Resumed: ${what}.`
    )
    await changed()
  }

  const one = el(
    "form",
    {
      submit: (event) => {
        event.preventDefault()
        const conversation = field.value.trim()
        if (conversation === "") return field.focus()
        field.value = ""
        void act("pause", conversation)
      }
    },
    el("label", { for: "pause-what" }, "Conversation or channel", field),
    el("button", { class: "plain" }, "Pause it")
  )
  const everything = async () => {
    const text = "New messages are stored and wait until somebody resumes, also over a restart."
    const isSure = await confirm({ title: "Pause everything?", text, yes: "Pause everything", no: "Let it run" })
    if (isSure) await act("pause", null)
  }
  const all = el("button", { type: "button", class: "plain", click: () => void everything() }, "Pause everything")
  const readOnly = el(
    "span",
    { class: "quiet" },
    "Read only: ",
    el("a", { href: "#/login" }, "log in"),
    " to pause, resume or cancel."
  )

  const drawPause = (/** @type {Pause & { admin: boolean }} */ { admin, conversation, since, why }) =>
    el(
      "li",
      {},
      el(
        "div",
        { class: "by" },
        el("b", {}, el("span", { class: "sign", "aria-hidden": "true" }, "❙❙"), ` ${conversation ?? "Everything"}`),
        el("span", { class: "quiet" }, why !== null && why !== "" && `${why}, `, "paused for ", moment(since, "since"))
      ),
      admin && el("button", {
        type: "button",
        class: "plain",
        "data-act": "resume",
        "aria-label": conversation === null ? "Resume everything" : `Resume ${conversation}`,
        click: () => void act("resume", conversation)
      }, "Resume")
    )

  return {
    node: el(
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
        list,
        none,
        tools
      )
    ),
    /** @param {ReadonlyArray<Pause>} pauses */
    draw: (pauses) => {
      sync(
        list,
        pauses.map((pause) => ({ ...pause, admin: world.admin })),
        ({ conversation }) => conversation ?? "",
        drawPause
      )
      none.hidden = pauses.length > 0
      all.hidden = pauses.some(({ conversation }) => conversation === null)
      if (tools.firstChild !== (world.admin ? one : readOnly)) fill(tools, world.admin ? [one, all] : readOnly)
    }
  }
}
