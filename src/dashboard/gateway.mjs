/**
 * The gateway's HTTP API, as this page asks it. Every answer is JSON; a refusal is an `Refused` with the sentence that
 * the gateway gave. Who may change something is the gateway's to say: the page only remembers its last answer.
 */
import { setClock } from "./times.mjs"

/** The gateway answered, and did not do it. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/**
 * @template A
 * @param {string} path
 * @param {unknown} [body] What to post; without it the path is read.
 * @returns {Promise<A>}
 */
export const ask = async (path, body) => {
  const response = await fetch(path, {
    cache: "no-store",
    credentials: "same-origin",
    ...(body === undefined ? {} : {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
  })
  setClock(response.headers.get("date"))
  const text = await response.text()
  const answer = /json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : {}
  if (response.ok) return answer
  throw new Refused(
    response.status,
    typeof answer.error === "string" ? answer.error : `The gateway answered ${response.status}.`
  )
}

/**
 * What to tell a person about something that did not work.
 *
 * @param {unknown} error
 */
export const sentence = (error) =>
  error instanceof Refused ? error.message : "The gateway did not answer. Nothing is known to have changed."
