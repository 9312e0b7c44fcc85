/**
 * Addresses of the page, behind the `#`: `#/`, `#/inbox?state=failed&conversation=C1`, `#/inbox/12`, `#/login`.
 */

/** @typedef {"inbox" | "outbox"} Queue */
/**
 * @typedef {{ page: "overview" } | { page: "login" } | { page: Queue, state: string, conversation: string }
 *   | { page: Queue, id: number } | { page: "nowhere" }} Route
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export const routeOf = (hash) => {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?")
  const [page = "", id] = path.split("/")
  if (page === "") return { page: "overview" }
  if (page === "login" && id === undefined) return { page: "login" }
  if (page !== "inbox" && page !== "outbox") return { page: "nowhere" }
  if (id !== undefined) return /^\d{1,15}$/.test(id) ? { page, id: Number(id) } : { page: "nowhere" }
  const given = new URLSearchParams(query)
  return { page, state: given.get("state") ?? "", conversation: given.get("conversation") ?? "" }
}

/**
 * @param {Queue} queue
 * @param {{ state?: string, conversation?: string }} [filter]
 */
export const listAddress = (queue, filter = {}) => {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ""))
  return `#/${queue}${query.size === 0 ? "" : `?${query}`}`
}

/**
 * @param {Queue} queue
 * @param {number} id
 */
export const rowAddress = (queue, id) => `#/${queue}/${id}`
