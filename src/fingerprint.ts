/** A short hash of text: tells contents apart without saying what they are. Web Crypto, so no platform import. */
import { Effect } from "effect"

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

/** SHA-256, as 32 hex digits: enough to tell contents apart, short enough for a key. */
export const fingerprint = (content: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(content))),
    (digest) => hex(digest).slice(0, 32)
  )
