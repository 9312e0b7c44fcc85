/** How ids of Slack look, where people or other programs write them. */

/** A channel, a private one, a direct message, or a person to write one to. */
export const isPlace = (id: string): boolean => /^[CDGUW][A-Z0-9]{2,31}$/.test(id)

/** A message, and so a thread. */
export const isTs = (ts: string): boolean => /^\d{1,16}\.\d{6}$/.test(ts)
