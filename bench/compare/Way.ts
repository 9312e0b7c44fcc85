/**
 * What a queue must be able to do to be measured: take messages that are durable once acked, and give them to handlers.
 *
 * `phases.ts` drives it. Messages are numbers from 1; a way makes the message of a number (`payload.ts`) and tells its
 * number when it is handled.
 */
export interface Way {
  /** As read back from whoever keeps the data. */
  readonly durability: string
  readonly versions?: Readonly<Record<string, string>>
  readonly notes?: ReadonlyArray<string>
  /** Its waiting is so long that few messages must do. */
  readonly slow?: boolean
  /**
   * Runs `concurrency` producers, each of which takes a number from `next`, hands its message over, waits until it is
   * durable and then calls `acked`, and waits for that too if it answers a promise; until `next` has no more.
   */
  readonly produce: (
    concurrency: number,
    next: () => number | undefined,
    acked: (n: number) => Promise<void> | undefined
  ) => Promise<void>
  /** Starts as many handlers, which do nothing but call `handled`. Answers how to stop them. */
  readonly consume: (concurrency: number, handled: (n: number) => void) => Promise<() => Promise<void>>
  /** Every handler was called; answers when the last completion is durable. */
  readonly settled: () => Promise<void>
  /** Begins to count commits that reach the disk; answers how to end that, and how many there were. */
  readonly countCommits?: () => Promise<() => Promise<number>>
  readonly close: () => Promise<void>
}

/** Opens an empty one for so many in flight. */
export type Open = (concurrency: number) => Promise<Way>

/** A turn of the event loop: what is called back by it must not starve beside who never waits. */
const breath = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Producers for an enqueue that is a promise. */
export const producing =
  (enqueue: (n: number) => Promise<unknown>): Way["produce"] => async (concurrency, next, acked) => {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      let since = 0
      for (let n = next(); n !== undefined; n = next()) {
        await enqueue(n)
        const handled = acked(n)
        if (handled !== undefined) await handled
        if (++since % 32 === 0) await breath()
      }
    }))
  }

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Asks until it is so. */
export const until = async (what: string, isSo: () => boolean | Promise<boolean>, patience = 20_000) => {
  const end = performance.now() + patience
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`never happened within ${patience} ms: ${what}`)
    await sleep(1)
  }
}
