/**
 * What was done in the last hour: rates, times and what waited, in buckets of ten seconds.
 *
 * A reference and no service: rooms tell it in passing, and where nobody wants to know (a test of one room, the way out
 * alone) it costs nothing. It sits below the rooms, so it counts through a reload. In memory, of a fixed size: a restart
 * begins anew, and what was before the start is null. While nothing happens it does not ask the database every time.
 * Guarantees: telling it never fails and never waits. Times are kept as counts of lengths, so a p95 is exact to a tenth.
 * Does not: keep a longer history (`/metrics` is for that), or know who looks.
 */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { MessageStore } from "./MessageStore.ts"
import { OutboxStore } from "./OutboxStore.ts"
import { Supervisor } from "./Supervisor.ts"

export const bucketMs = 10_000
export const buckets = 360
/** What waits is asked for this often, */
const sampleEvery = "10 seconds"
/** and where nothing waited and nothing happened since, this often (ms): others may have put something there. */
const idleEvery = 60_000
/** Lengths that differ by less than this count as one. */
const step = Math.log(1.1)

/** Handler runs that ended well and badly, whether or not they run again; what came in; what Slack has. */
type Counted = "received" | "turnsDone" | "turnsFailed" | "delivered"
/** From the arrival of an envelope to its ack; one run of a handler; from when a reply may go out to its delivery. */
type Timed = "ack" | "turn" | "delivery"

export interface Waiting {
  readonly inboxQueued: number
  readonly outboxQueued: number
  readonly oldestQueuedAgeMs: number | null
}

/** A number for each bucket; null where there is nothing to say. */
const Series = Schema.Array(Schema.NullOr(Schema.Finite))

/** What `/api/activity` answers. */
export const Hour = Schema.Struct({
  bucketMs: Schema.Int,
  /** Epoch ms: where the first bucket begins. */
  from: Schema.Int,
  series: Schema.Struct({
    received: Series,
    turnsDone: Series,
    turnsFailed: Series,
    delivered: Series,
    ackMsP95: Series,
    turnMsP95: Series,
    deliveryMsP95: Series,
    inboxQueued: Series,
    outboxQueued: Series,
    oldestQueuedAgeMs: Series
  })
})
export type Hour = typeof Hour.Type

interface Bucket {
  readonly index: number
  readonly counts: Record<Counted, number>
  readonly times: Record<Timed, Map<number, number>>
  waiting: Waiting | null
}

interface Shape {
  readonly count: (what: Counted) => Effect.Effect<void>
  readonly took: (what: Timed, ms: number) => Effect.Effect<void>
  readonly hour: Effect.Effect<Hour>
}

const nothing: Hour["series"] = {
  received: [],
  turnsDone: [],
  turnsFailed: [],
  delivered: [],
  ackMsP95: [],
  turnMsP95: [],
  deliveryMsP95: [],
  inboxQueued: [],
  outboxQueued: [],
  oldestQueuedAgeMs: []
}

export const Activity = Context.Reference<Shape>("slackwater/Activity", {
  defaultValue: () => ({
    count: () => Effect.void,
    took: () => Effect.void,
    hour: Effect.succeed({ bucketMs, from: 0, series: nothing })
  })
})

const p95 = (lengths: ReadonlyMap<number, number>): number | null => {
  const all = [...lengths].toSorted(([a], [b]) => a - b)
  const total = all.reduce((sum, [, times]) => sum + times, 0)
  let left = Math.ceil(total * 0.95)
  for (const [length, times] of all) {
    left -= times
    if (left <= 0) return Math.round(Math.exp(length * step))
  }
  return null
}

const make = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const indexNow = () => Math.floor(clock.currentTimeMillisUnsafe() / bucketMs)
  const startedIn = indexNow()
  const ring: Array<Bucket | undefined> = Array.from({ length: buckets })
  let happened = true

  /** A clock that was set anew finds other buckets in their places, and takes them. */
  const present = (): Bucket => {
    const index = indexNow()
    const place = ((index % buckets) + buckets) % buckets
    const found = ring[place]
    if (found?.index === index) return found
    const bucket: Bucket = {
      index,
      counts: { received: 0, turnsDone: 0, turnsFailed: 0, delivered: 0 },
      times: { ack: new Map(), turn: new Map(), delivery: new Map() },
      waiting: null
    }
    ring[place] = bucket
    return bucket
  }

  const took = (what: Timed, ms: number) =>
    Effect.sync(() => {
      happened = true
      const lengths = present().times[what]
      const length = Math.round(Math.log(Math.max(1, ms)) / step)
      lengths.set(length, (lengths.get(length) ?? 0) + 1)
    })

  const hour = Effect.sync((): Hour => {
    const last = indexNow()
    const first = last - buckets + 1
    const known = new Map(ring.flatMap((bucket) => bucket === undefined ? [] : [[bucket.index, bucket]]))
    const each = (of: (bucket: Bucket) => number | null, otherwise: number | null) =>
      Array.from({ length: buckets }, (_, n) => {
        const bucket = known.get(first + n)
        return bucket === undefined ? first + n < startedIn ? null : otherwise : of(bucket)
      })
    const counted = (what: Counted) => each(({ counts }) => counts[what], 0)
    const timed = (what: Timed) => each(({ times }) => p95(times[what]), null)
    const waited = (what: keyof Waiting) => each(({ waiting }) => waiting?.[what] ?? null, null)
    return {
      bucketMs,
      from: first * bucketMs,
      series: {
        received: counted("received"),
        turnsDone: counted("turnsDone"),
        turnsFailed: counted("turnsFailed"),
        delivered: counted("delivered"),
        ackMsP95: timed("ack"),
        turnMsP95: timed("turn"),
        deliveryMsP95: timed("delivery"),
        inboxQueued: waited("inboxQueued"),
        outboxQueued: waited("outboxQueued"),
        oldestQueuedAgeMs: waited("oldestQueuedAgeMs")
      }
    }
  })

  return {
    count: (what: Counted) =>
      Effect.sync(() => {
        happened = true
        present().counts[what]++
      }),
    took,
    hour,
    /** Whether anything happened since this was asked last. */
    didHappen: () => {
      const did = happened
      happened = false
      return did
    },
    sample: (waiting: Waiting) =>
      Effect.sync(() => {
        present().waiting = waiting
      })
  }
})

export const layer = Layer.effect(
  Activity,
  Effect.gen(function*() {
    const { count, didHappen, hour, sample, took } = yield* make
    const messages = yield* MessageStore
    const outbox = yield* OutboxStore
    const supervisor = yield* Supervisor

    /** When nothing was found waiting (epoch ms); null while something waits, or nobody knows. */
    let emptyAt: number | null = null

    const look = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const since = emptyAt === null ? idleEvery : now - emptyAt
      if (!didHappen() && since >= 0 && since < idleEvery) {
        return yield* sample({ inboxQueued: 0, outboxQueued: 0, oldestQueuedAgeMs: null })
      }
      emptyAt = null
      const inbox = yield* messages.backlog
      const replies = yield* outbox.backlog
      if (inbox.queued + replies.queued === 0) emptyAt = now
      yield* sample({
        inboxQueued: inbox.queued,
        outboxQueued: replies.queued,
        oldestQueuedAgeMs: inbox.oldestQueuedAt === null ? null : Math.max(0, now - inbox.oldestQueuedAt)
      })
    })
    // A database that is away has alarms of its own; here it leaves a gap.
    yield* supervisor.fork("activity", Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(sampleEvery))))
    return { count, took, hour }
  })
)
