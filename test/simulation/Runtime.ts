/**
 * What code takes from the runtime itself and not from a service, made the seed's as long as a history runs: hashing,
 * which is done in other threads, answers at once; `Math.random`, which Effect takes for its own hashes, is seeded.
 */
import { createHash } from "node:crypto"
import type { Stream } from "./Dice.ts"

/** A promise that is kept before anybody asks: nothing of a history may wait for the event loop. */
class AtOnce<A> {
  readonly value: A
  constructor(value: A) {
    this.value = value
  }
  // oxlint-disable-next-line unicorn/no-thenable -- that is the point
  then(onFulfilled: (value: A) => unknown): void {
    onFulfilled(this.value)
  }
}

const { subtle } = globalThis.crypto
const { digest } = subtle
const { random } = Math

const hashed = (_algorithm: string, data: Uint8Array) => {
  const bytes = createHash("sha256").update(data).digest()
  return new AtOnce(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/** Runs something without a single wait for the outside. */
export const isolated = <A>(stream: Stream, run: () => A): A => {
  Object.assign(subtle, { digest: hashed })
  Math.random = stream.next
  try {
    return run()
  } finally {
    Object.assign(subtle, { digest })
    Math.random = random
  }
}
