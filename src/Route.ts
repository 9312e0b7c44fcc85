/**
 * Which entry of a route gets which events of a turn. Pure.
 *
 * Consecutive messages go to their entry together, as one thought typed in several lines; every other event has a call
 * of its own, in the order of the turn. A mention goes to `message` where the route has no entry for mentions.
 */
import { type Event, type EventKind, eventKinds } from "./Event.ts"

/** What an entry may be for: options for a select menu are answered in the ack and start no turn. */
export type RouteKind = Exclude<EventKind, "blockSuggestion"> | "otherwise"

/** One call of one entry, with a part of the turn's events. */
export interface Call {
  readonly entry: RouteKind
  /** Its place among the calls of the turn. */
  readonly index: number
  readonly from: number
  readonly to: number
}

const kinds: ReadonlySet<string> = new Set<string>(
  [...eventKinds, "otherwise"].filter((kind) => kind !== "blockSuggestion")
)

/** Names of entries that are none, and entries that are no functions. */
export const mistakesIn = (routes: object): ReadonlyArray<string> =>
  Object.entries(routes).flatMap(([name, entry]) => kinds.has(name) && typeof entry === "function" ? [] : [name])

const entryOf = (routes: object, kind: EventKind): RouteKind | undefined => {
  const candidates = [kind, ...(kind === "appMention" ? ["message" as const] : []), "otherwise" as const]
  return candidates.find((name): name is RouteKind => name !== "blockSuggestion" && Object.hasOwn(routes, name))
}

/** What starts a turn by itself; `otherwise` does not ask for more than that. */
const usual: ReadonlySet<EventKind> = new Set<EventKind>([
  "message",
  "appMention",
  "slashCommand",
  "blockAction",
  "viewSubmission",
  "viewClosed",
  "shortcut",
  "messageShortcut"
])

/** The kinds that a turn is worth starting for. */
export const handledBy = (routes: object): ReadonlySet<EventKind> =>
  new Set(eventKinds.filter((kind) => {
    const entry = entryOf(routes, kind)
    return entry !== undefined && (entry !== "otherwise" || usual.has(kind))
  }))

/** The calls that these events mean, and the events that no entry is for. */
export const callsOf = (
  routes: object,
  events: ReadonlyArray<Event>
): { readonly calls: ReadonlyArray<Call>; readonly skipped: ReadonlyArray<Event> } => {
  const calls: Array<Call> = []
  const skipped: Array<Event> = []
  for (const [at, event] of events.entries()) {
    const entry = entryOf(routes, event.kind)
    const last = calls.at(-1)
    if (entry === undefined) skipped.push(event)
    else if ((entry === "message" || entry === "appMention") && last?.entry === entry && last.to === at) {
      calls.splice(-1, 1, { ...last, to: at + 1 })
    } else {
      calls.push({ entry, index: calls.length, from: at, to: at + 1 })
    }
  }
  return { calls, skipped }
}
