/**
 * Questions before something that cannot be taken back, and the line that says what came of it.
 */
import { byId, el } from "./element.mjs"
import { Refused, sentence } from "./gateway.mjs"
import { setAdmin } from "./world.mjs"

/**
 * Asks, and answers whether the person said so. The focus returns to where it was.
 *
 * @param {{ title: string, text: string, yes: string, no?: string, danger?: boolean }} question
 * @returns {Promise<boolean>}
 */
export const confirm = ({ danger = false, no = "Keep as it is", text, title, yes }) =>
  new Promise((resolve) => {
    const dialog = el(
      "dialog",
      { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "ask-title" }, title),
        el("p", { id: "ask-text" }, text),
        el(
          "div",
          { class: "buttons" },
          el("button", { value: "no", class: "plain", autofocus: true }, no),
          el("button", { value: "yes", class: danger ? "danger" : "strong" }, yes)
        )
      )
    )
    dialog.addEventListener("close", () => {
      dialog.remove()
      resolve(dialog.returnValue === "yes")
    })
    document.body.append(dialog)
    dialog.showModal()
  })

/** @type {ReturnType<typeof setTimeout> | undefined} */
let leaving

/**
 * Says it for a while, also to a screen reader.
 *
 * @param {string} text
 * @param {"ok" | "bad"} [tone]
 */
export const announce = (text, tone = "ok") => {
  const toast = byId("toast")
  toast.replaceChildren(el("p", { "data-tone": tone }, text))
  clearTimeout(leaving)
  leaving = setTimeout(() => toast.replaceChildren(), 8_000)
}

/**
 * Does it, and says what came of it. Where the gateway wants the token again, the page is read-only from then on.
 *
 * @template A
 * @param {() => Promise<A>} act
 * @param {(answer: A) => string} told
 */
export const perform = async (act, told) => {
  try {
    announce(told(await act()))
  } catch (error) {
    if (error instanceof Refused && error.status === 401) setAdmin(false)
    announce(sentence(error), "bad")
  }
}
