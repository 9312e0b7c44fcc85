/**
 * Takes secrets out of text that others wrote: errors of handlers and libraries may quote the request that failed.
 *
 * What looks like a token of Slack's goes by its shape, everything that is given by its value,
 * as it is and as it looks in an address.
 * Does not: find a secret that was encoded in another way, or cut in two.
 */

/** Bot, user, app-level, refresh and legacy tokens, and the secret part of a `response_url` or webhook. */
const shapes = /\bx(?:ox[a-z](?:\.xox[a-z])?|app)-[\w%.-]{3,}|(?<=hooks\.slack\.com\/)[\w/.-]+/g

/** Shorter ones would take ordinary words out of every line. */
const shortest = 6

/** The same where it cannot be said in an address. */
const inAddress = (secret: string) => secret.isWellFormed() ? encodeURIComponent(secret) : secret

export const redacted = "<redacted>"

/** A function that takes them out of a text. */
export const hiding = (secrets: Iterable<string> = []) => {
  const values = [...new Set([...secrets].flatMap((secret) => [secret, inAddress(secret)]))]
    .filter(({ length }) => length >= shortest)
    // One may contain the other.
    .toSorted((a, b) => b.length - a.length)
  return (text: string): string => {
    let left = text
    for (const value of values) if (left.includes(value)) left = left.replaceAll(value, redacted)
    return left.replace(shapes, redacted)
  }
}

const deepest = 12

/** The same for every string in JSON-like data, which is copied; what is nested too deep is left out. */
export const hidingIn = (hide: (text: string) => string, longest = 16_000) => {
  const visit = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return hide(value.length > longest ? `${value.slice(0, longest)}…` : value)
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value
    if (depth === 0) return null
    if (Array.isArray(value)) return value.map((item) => visit(item, depth - 1))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, depth - 1)]))
  }
  return <A>(data: A): A => visit(data, deepest * 2) as A
}
