/**
 * All chance of a history, from one number.
 *
 * Each thing that is left to chance has a stream of its own, named by what it decides, so that a decision more in one
 * place moves none in another. Faults are drawn here and counted: the n-th that would happen can be held back, which is
 * how a failing history is made smaller.
 */

/** Numbers from 0 to 1, always the same for a seed (mulberry32). */
export const generator = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Mixes text into a seed (FNV-1a). */
export const mix = (seed: number, text: string) => {
  let hash = (seed ^ 0x811c9dc5) >>> 0
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  return hash
}

export interface Stream {
  readonly next: () => number
  readonly chance: (probability: number) => boolean
  /** A whole number, both ends included. */
  readonly between: (least: number, most: number) => number
  readonly pick: <A>(of: ReadonlyArray<A>) => A
  /** Mostly small, sometimes large, never above `most`. */
  readonly skewed: (least: number, most: number) => number
}

const streamOf = (next: () => number): Stream => {
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick: <A>(of: ReadonlyArray<A>) => of[Math.floor(next() * of.length)] as A,
    skewed: (least, most) => Math.round(least + (most - least) * next() ** 4)
  }
}

/** What a smaller history leaves out. */
export interface Omitted {
  readonly faults: ReadonlySet<number>
  readonly deeds: ReadonlySet<number>
}

export const nothingOmitted: Omitted = { faults: new Set(), deeds: new Set() }

export class Dice {
  readonly seed: number
  readonly omitted: Omitted
  readonly #streams = new Map<string, Stream>()
  /** Faults that were drawn, in order, those held back too. */
  readonly drawn: Array<string> = []

  constructor(seed: number, omitted: Omitted = nothingOmitted) {
    this.seed = seed
    this.omitted = omitted
  }

  of(what: string): Stream {
    const known = this.#streams.get(what)
    if (known !== undefined) return known
    const made = streamOf(generator(mix(this.seed, what)))
    this.#streams.set(what, made)
    return made
  }

  /** A stream for one thing only, such as one run of one turn. */
  once(what: string): Stream {
    return streamOf(generator(mix(this.seed, what)))
  }

  /** Whether this fault happens here. */
  fault(kind: string, probability: number): boolean {
    return this.of(`fault ${kind}`).chance(probability) && this.planned(kind)
  }

  /** A fault that was decided on elsewhere; false where the smaller history leaves it out. */
  planned(kind: string): boolean {
    this.drawn.push(kind)
    return !this.omitted.faults.has(this.drawn.length - 1)
  }
}
