/**
 * A short hash of text: tells contents apart without saying what they are.
 *
 * Web Crypto, so no platform import; where the platform is Node, its own hash, at once: Web Crypto goes through a thread,
 * for many times the processor time, and every reply is hashed twice. Both answer the same.
 */
import { Effect } from "effect"

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const digits = 32

/** As browsers have it too. */
export const byWebCrypto = (content: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(content))),
    (digest) => hex(digest).slice(0, digits)
  )

const node = globalThis.process?.getBuiltinModule?.("node:crypto")

/** SHA-256, as 32 hex digits: enough to tell contents apart, short enough for a key. */
export const fingerprint: (content: string) => Effect.Effect<string> = node === undefined
  ? byWebCrypto
  : (content) => Effect.sync(() => node.hash("sha256", content).slice(0, digits))
