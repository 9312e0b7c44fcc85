/** How ids of Slack look, where people or other programs write them. */

/** A channel, a private one, a direct message, or a person to write one to. */
export const isPlace = (id: string): boolean => /^[CDGUW][A-Z0-9]{2,31}$/.test(id)

/** A message, and so a thread. */
export const isTs = (ts: string): boolean => /^\d{1,16}\.\d{6}$/.test(ts)

/** A channel, a direct message, a person, or a thread in one of them. */
export const isConversation = (name: string): boolean => {
  const [place = "", thread, ...more] = name.split("/")
  return isPlace(place) && (thread === undefined || isTs(thread)) && more.length === 0
}

/** How one is named, for whoever named none. */
export const noConversation =
  "is no conversation: name a channel like C0123ABCD, or a thread in it like C0123ABCD/1700000000.123456"
