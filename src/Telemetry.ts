/**
 * Everything that is told to the outside while the gateway works: every metric, span and log field, as one table.
 *
 * Rooms import the metric they own and update it; nothing else is counted anywhere, but for the last hour of the dashboard
 * (`Activity.ts`). `docs/telemetry.md` shows the same table, and `test/ground/telemetry.test.ts` holds the two together
 * and the code to both.
 * Guarantees: every label has a bounded number of values, none of which comes from a message; seconds and bytes, as
 * Prometheus wants them. Does not: know who listens (`/metrics`, OTLP, the host's own exporter).
 */
import { Effect, Metric } from "effect"
import { monotonicMillis } from "./monotonic.ts"

/** The values of a label; where they are a set of names in the code, a word for them. */
type Labels = Readonly<Record<string, ReadonlyArray<string> | string>>

interface DocumentedMetric {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly labels: Labels
  readonly description: string
}

const documented: Array<DocumentedMetric> = []
const document = (
  kind: DocumentedMetric["kind"],
  name: string,
  description: string,
  labels: Labels = {}
): DocumentedMetric => {
  const entry = { name: `slackwater_${name}`, kind, labels, description }
  documented.push(entry)
  return entry
}

const counter = (name: string, description: string, labels?: Labels) =>
  Metric.counter(document("counter", name, description, labels).name, { description, incremental: true })
const gauge = (name: string, description: string, labels?: Labels) =>
  Metric.gauge(document("gauge", name, description, labels).name, { description })
const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>, labels?: Labels) =>
  Metric.histogram(document("histogram", name, description, labels).name, { description, boundaries })

/** A commit takes milliseconds, an ack must come within three seconds. */
const short = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10]
/** A call over the network ends with its timeout of ten seconds, if that is not set otherwise. */
const calls = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60]
/** From the quiet window to the outage of a day. */
const long = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400]

export const events = counter("events_total", "Envelopes from Slack by what became of them", {
  outcome: ["queued", "ignored", "overflow", "duplicate", "revived", "undecodable", "refused"]
})
/** Acks Slack may not have got; harmless, since it redelivers and we deduplicate. */
export const ackFailures = counter("ack_failures_total", "Acknowledgements that could not be handed to the connection")
export const answers = counter("answers_total", "Runs of the responder by what they put into the ack", {
  outcome: ["answered", "none", "late", "failed"]
})
export const turns = counter("turns_total", "Runs of the handler by how they ended", {
  outcome: ["done", "retried", "failed", "superseded", "cancelled", "interrupted", "lost"]
})
export const sends = counter("sends_total", "Web API sends by outcome", {
  outcome: ["delivered", "not_sent", "unknown", "failed", "expired", "interim"]
})
/** A re-run said something else at the same place; both were posted. */
export const repliesDiverged = counter("replies_diverged_total", "Replies of a re-run that differ from those before")
export const looks = counter("reconcile_looks_total", "Look-ups of replies that may have arrived", {
  outcome: ["found", "absent", "failed"]
})
export const connections = counter("connections_total", "Attempts to connect to Slack", {
  outcome: ["connected", "failed"]
})
/** Another process with the same app token takes some of our events, or Slack still counts a connection that ended. */
export const foreignConnections = counter("foreign_connections_total", "Hellos that counted more connections than ours")
export const forcedReconnects = counter("forced_reconnects_total", "Reconnects forced by the watchdog")
export const caughtUp = counter("caught_up_messages_total", "Messages found in Slack's history after a gap", {
  outcome: ["new", "known"]
})
export const notLookedAt = counter("catch_up_missed_total", "What a catch-up did not look at, by why", {
  outcome: ["age", "calls", "pages", "scope", "refused", "failed"]
})
export const fiberRestarts = counter("fiber_restarts_total", "Supervised fibers started again after a failure", {
  fiber: "the names given to the Supervisor"
})

export const envelopeCommit = histogram(
  "envelope_commit_seconds",
  "From the arrival of an envelope to its row on disk",
  short
)
export const envelopeAck = histogram(
  "envelope_ack_seconds",
  "From the arrival of an envelope to its acknowledgement, for which Slack waits three seconds",
  short
)
export const commitTime = histogram("commit_seconds", "Time of one transaction of the writer, its sync included", short)
export const claimWait = histogram(
  "claim_wait_seconds",
  "From the arrival of the oldest message of a turn to its first run, the quiet window included",
  long
)
export const turnTime = histogram("turn_seconds", "Time of one run of the handler, until its end is committed", long)
export const deliveryTime = histogram(
  "delivery_seconds",
  "From when a reply may go out (committed, its time has come, or retried by hand) to its delivery",
  long
)
export const apiCallTime = histogram(
  "api_call_seconds",
  "Time of one Web API call, by method and what became of it",
  calls,
  {
    method: "the Web API methods that the gateway calls",
    outcome: ["ok", "NotSent", "RateLimited", "Ambiguous", "AlreadyDone", "Permanent", "Credentials", "Configuration"]
  }
)

export const eventLoopDelay = gauge(
  "event_loop_delay_seconds",
  "How late the event loop was at worst, between two heartbeats"
)
export const inbox = gauge("inbox_messages", "Messages in the inbox by state", {
  state: ["queued", "processing", "done", "ignored", "failed"]
})
export const inboxOldest = gauge("inbox_oldest_queued_seconds", "Age of the oldest queued message; 0 where none waits")
export const outbox = gauge("outbox_replies", "Replies in the outbox by state", {
  state: ["queued", "sending", "unknown", "failed_retryable", "delivered", "failed_terminal", "expired"]
})
export const outboxHeld = gauge("outbox_held_replies", "Unknown replies that only a person can settle")
export const outboxOldest = gauge("outbox_oldest_queued_seconds", "Age of the oldest queued reply; 0 where none waits")
export const outboxPaused = gauge("outbox_paused", "1 while Slack takes nothing and the outbox waits")
export const runningTurns = gauge("running_turns", "Turns that run now")
export const waitingConversations = gauge(
  "waiting_conversations",
  "Conversations with messages that no turn has taken, the quiet window included"
)
export const socketState = gauge("socket_state", "1 for the state that the connection to Slack is in", {
  state: ["starting", "connected", "rotating", "disconnected", "fatal"]
})
export const socketGeneration = gauge("socket_generation", "Number of the newest connection; grows with each")
export const openConnections = gauge("socket_connections", "Connections to Slack that are open")
export const networkUp = gauge("network_up", "0 while Slack cannot be reached at all")
export const phase = gauge("phase", "1 for the phase that the gateway is in", {
  phase: ["starting", "running", "draining", "stopped"]
})
export const alarm = gauge("alarm", "1 while an alarm is on; 0 once it is over", { code: "the codes in operating.md" })
export const heartbeatAge = gauge("heartbeat_age_seconds", "Age of the last heartbeat; 0 before the first")
export const databaseBytes = gauge("database_bytes", "Size of the database and of its write-ahead log", {
  file: ["database", "wal"]
})
export const startTime = gauge("start_time_seconds", "When this gateway was started, as seconds since 1970")
export const buildInfo = gauge("build_info", "1; which release this is", { version: "the release" })
export const scrapeFailed = gauge("scrape_failed", "1 when the database could not be asked; what it counts is then old")

/** Every metric there is. */
export const metrics: ReadonlyArray<DocumentedMetric> = documented

interface DocumentedSpan {
  readonly attributes: ReadonlyArray<string>
  readonly description: string
}

/** The spans of a message's way; each of the others is named after the method that it is. Never text, never a token. */
export const spans: Readonly<Record<string, DocumentedSpan>> = {
  "Intake.accept": {
    attributes: ["envelope", "type", "retry", "conversation"],
    description: "one envelope from its arrival to its ack; the root of a message's trace"
  },
  "MessageStore.append": { attributes: [], description: "the commit of the message; what is stored as its parent" },
  "TurnRunner.run": {
    attributes: ["turn", "conversation", "attempt", "messages"],
    description: "one run of a turn; child of its first message's trace, linked to those of the others"
  },
  "Turn.step": { attributes: ["step"], description: "one step of the handler" },
  "MessageStore.complete": { attributes: [], description: "the commit of the end of a turn, with its last replies" },
  "OutboxStore.enqueue": { attributes: [], description: "the commit of replies while a turn runs" },
  "Outbox.send": {
    attributes: ["reply", "conversation", "kind"],
    description: "one try to send a reply; child of the span that committed it"
  },
  "Outbox.look": {
    attributes: ["reply", "conversation", "kind"],
    description: "one look for a reply that may have arrived; child as above"
  },
  "SlackApi.call": { attributes: ["method"], description: "one Web API call" }
}

/** What the fields of a log line mean, wherever they appear. */
export const logFields: Readonly<Record<string, string>> = {
  conversation: "the conversation: channel, or channel/thread",
  turn: "id of the turn",
  attempt: "which run of the turn",
  messages: "ids of the turn's messages, as in `inbox list`; the first ten",
  reply: "id of the reply, as in `outbox list`",
  envelope: "Slack's id of the envelope",
  kind: "kind of the call or event",
  alarm: "code of the alarm",
  fiber: "name of the supervised fiber",
  failures: "failures in a row",
  delayMs: "pause before it is tried again",
  againInMs: "the same",
  generation: "number of the connection",
  connections: "connections that Slack counts",
  livedMs: "how long the connection lived",
  forced: "reconnects forced in a row",
  reason: "why, in one line",
  why: "the same",
  error: "what the handler failed with, in one line without tokens",
  stack: "where; without tokens",
  step: "step of the shutdown",
  url: "address the gateway listens on",
  address: "who sent it, over HTTP",
  count: "how many",
  file: "name of the file",
  instance: "this start of the gateway",
  owner: "this set of rooms",
  from: "schema before; or `stderr`, of a command that answers",
  to: "schema now",
  line: "the line that was left out",
  repeated: "how often the same line was left out since it was written last"
}

/** One series of a metric, made once: the key of one that is made anew is written anew, at every update. */
const makeSeries = <State>() => {
  const known = new WeakMap<Metric.Metric<number, State>, Map<string, Metric.Metric<number, State>>>()
  return (metric: Metric.Metric<number, State>, labels: Readonly<Record<string, string>>) => {
    const ofMetric = known.get(metric) ?? new Map<string, Metric.Metric<number, State>>()
    known.set(metric, ofMetric)
    const name = Object.values(labels).join()
    const series = ofMetric.get(name) ?? Metric.withAttributes(metric, labels)
    ofMetric.set(name, series)
    return series
  }
}
const counterSeries = makeSeries<Metric.CounterState<number>>()
const histogramSeries = makeSeries<Metric.HistogramState>()

/** The outcome, where there is one, is one of the metric's own. */
export const counted = (metric: Metric.Counter<number>, outcome?: string, by = 1) =>
  Metric.update(outcome === undefined ? metric : counterSeries(metric, { outcome }), by)

export const gauged = (metric: Metric.Gauge<number>, value: number, labels?: Record<string, string>) =>
  Metric.update(labels === undefined ? metric : Metric.withAttributes(metric, labels), value)

type Histogram = Metric.Histogram<number>

/** A duration in milliseconds, of which none is below zero whatever the clocks say. */
export const observed = (metric: Histogram, ms: number, labels?: Record<string, string>) =>
  Metric.update(labels === undefined ? metric : histogramSeries(metric, labels), Math.max(0, ms) / 1_000)

/** Measures every run, however it ends; `tell` hears the time too. */
export const timed =
  (metric: Histogram, tell: (ms: number) => Effect.Effect<void> = () => Effect.void) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(monotonicMillis, (begun) =>
      Effect.ensuring(
        effect,
        Effect.flatMap(monotonicMillis, (now) => Effect.andThen(observed(metric, now - begun), tell(now - begun)))
      ))

const zeros: ReadonlyArray<Metric.Counter<number>> = [
  events,
  ackFailures,
  answers,
  turns,
  sends,
  repliesDiverged,
  looks,
  connections,
  foreignConnections,
  forcedReconnects,
  caughtUp,
  notLookedAt
]

/** Counters are there from the start, at zero: what has not happened yet can be told from what nobody counts. */
export const begin: Effect.Effect<void> = Effect.forEach(zeros, (metric) => {
  const outcomes = documented.find(({ name }) => name === metric.id)?.labels["outcome"]
  return typeof outcomes === "object"
    ? Effect.forEach(outcomes, (outcome) => counted(metric, outcome, 0), { discard: true })
    : counted(metric, undefined, 0)
}, { discard: true })
