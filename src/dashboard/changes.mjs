/**
 * Retry and discard of rows, by hand. What the gateway left as it is comes back with its reason, and is told.
 */
import { confirm, perform } from "./dialog.mjs"
import { ask } from "./gateway.mjs"
import { lookAgain } from "./world.mjs"

/** @import { QueueWords } from "./queues.mjs" */
/** @import { Changed } from "./shapes.ts" */

/**
 * @param {QueueWords} words
 * @param {number} count
 */
const counted = ({ one }, count) => count === 1 ? `1 ${one}` : `${count} ${one === "reply" ? "replies" : `${one}s`}`

/**
 * Asks where it cannot be taken back, does it, tells.
 *
 * @param {QueueWords} words
 * @param {"retry" | "discard"} action
 * @param {ReadonlyArray<number>} ids
 * @returns {Promise<void>}
 */
export const change = async (words, action, ids) => {
  const what = ids.length === 1 ? `${words.one} ${ids[0]}` : counted(words, ids.length)
  if (action === "discard") {
    if (!(await confirm({ title: `Discard ${what}?`, text: words.discardMeans, yes: "Discard", danger: true }))) return
  } else if (ids.length > 1) {
    const text = "They run again with new attempts, in their order."
    if (!(await confirm({ title: `Retry ${what}?`, text, yes: "Retry" }))) return
  }
  await perform(
    () => ask(`api/${words.name}/${action}`, { ids }),
    (/** @type {Changed} */ { changed, unchanged }) => {
      const left = unchanged.map(({ id, why }) => `${id} (${why})`).join(", ")
      const done = changed.length === 0
        ? "Nothing changed"
        : `${counted(words, changed.length)} ${action === "retry" ? "set to run again" : "discarded"}`
      return left === "" ? `${done}.` : `${done}; left as they are: ${left}.`
    }
  )
  lookAgain()
}
