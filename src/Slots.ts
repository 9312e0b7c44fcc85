/**
 * The places that connections are kept in: who stands in each, and what that means for all of them together.
 *
 * Pure, but for asking connections when they were last heard. SocketLayer fills and empties them.
 */
import { Effect } from "effect"
import type { SocketState } from "./GatewayStatus.ts"
import type { Generation } from "./Generation.ts"

/** Replace a connection this long before Slack would end it. */
const rotateBefore = 60_000
/** Connections of one age would be refreshed by Slack at one moment; they are brought this far apart. */
const apart = 60_000

export interface Slot {
  readonly index: number
  /** Delivers; also while its successor is being opened. */
  held: Generation | undefined
  /** To be closed when its successor is there. It is the held one, unless it has ended meanwhile. */
  leaving: Generation | undefined
  wasFilled: boolean
}

export const slots = (count: number): ReadonlyArray<Slot> =>
  Array.from({ length: count }, (_, index) => ({ index, held: undefined, leaving: undefined, wasFilled: false }))

/** One live connection is a connection, however many are wanted. */
export const stateOf = (all: ReadonlyArray<Slot>, isRefused: boolean): SocketState["state"] => {
  const held = all.filter((slot) => slot.held !== undefined)
  if (held.some((slot) => slot.leaving === undefined)) return "connected"
  if (held.length > 0) return "rotating"
  return isRefused ? "fatal" : "disconnected"
}

/**
 * For how many ms a fresh connection stays when nothing happens to it: until shortly before Slack's end. One that is as
 * old as another changes early, once, so that neither we nor Slack ever change both together.
 */
export const lifeOf = (slot: Slot, all: ReadonlyArray<Slot>, { connectedAt, connection }: Generation): number => {
  const lifetime = connection.approximateConnectionMs ?? Infinity
  const planned = lifetime - Math.min(rotateBefore, lifetime / 2)
  const isTwin = all.some(({ held, index }) =>
    index < slot.index && held !== undefined && Math.abs(held.connectedAt - connectedAt) < apart / 2
  )
  return isTwin ? Math.min(planned, apart * slot.index) : planned
}

/**
 * The connection that was quiet longest, and since when (null: nobody can see signs of life). One of which none was seen
 * yet is quiet since it began, once another shows that they can be seen.
 */
export const quietest = Effect.fnUntraced(function*(all: ReadonlyArray<Slot>) {
  const heard = yield* Effect.forEach(
    all.flatMap(({ held }) => held ?? []),
    (generation) => Effect.map(generation.connection.lastHeardAt, (at) => ({ generation, at }))
  )
  const isVisible = heard.some(({ at }) => at !== null)
  const since = heard
    .map(({ at, generation }) => ({ generation, at: at ?? generation.connectedAt }))
    .reduce<{ readonly generation: Generation; readonly at: number } | undefined>(
      (quiet, one) => quiet === undefined || one.at < quiet.at ? one : quiet,
      undefined
    )
  return since === undefined ? undefined : { generation: since.generation, heardAt: isVisible ? since.at : null }
})
