/**
 * Every metric, in one table. Rooms import the metric they own and update it; nothing else is counted anywhere.
 */
import { Metric } from "effect"

const counter = (name: string, description: string) =>
  Metric.counter(`slackwater_${name}`, { description, incremental: true })

/** By `outcome`: queued, ignored, duplicate, revived, undecodable, refused (the store did not take it). */
export const events = counter("events_total", "Envelopes from Slack by what became of them")
/** Acks Slack may not have got; harmless, since it redelivers and we deduplicate. */
export const ackFailures = counter("ack_failures_total", "Acknowledgements that could not be handed to the connection")
/** By `outcome`: answered, none, late, failed. */
export const answers = counter("answers_total", "Runs of the responder by what they put into the ack")
/** By `outcome`: done, retried, failed, superseded, cancelled, interrupted, lost. */
export const turns = counter("turns_total", "Runs of the handler by how they ended")
/** By `outcome`: delivered, not_sent, unknown, failed, expired, interim. */
export const sends = counter("sends_total", "Web API sends by outcome")
/** A re-run said something else at the same place; both were posted. */
export const repliesDiverged = counter("replies_diverged_total", "Replies of a re-run that differ from those before")
/** By `outcome`: found, absent, failed. */
export const looks = counter("reconcile_looks_total", "Look-ups of replies that may have arrived")
/** By `outcome`: connected, failed. */
export const connections = counter("connections_total", "Attempts to connect to Slack")
/** Another process with the same app token takes some of our events, or Slack still counts a connection that ended. */
export const foreignConnections = counter("foreign_connections_total", "Hellos that counted more connections than ours")
export const forcedReconnects = counter("forced_reconnects_total", "Reconnects forced by the watchdog")
/** By `outcome`: new, known. */
export const caughtUp = counter("caught_up_messages_total", "Messages found in Slack's history after a gap")
/** By `outcome`: age, calls, pages, scope, refused, failed. */
export const notLookedAt = counter("catch_up_missed_total", "What a catch-up did not look at, by why")

export const eventLoopDelay = Metric.gauge("slackwater_event_loop_delay_milliseconds", {
  description: "How late the event loop was at worst, between two heartbeats"
})

export const counted = (metric: Metric.Counter<number>, outcome?: string, by = 1) =>
  Metric.update(outcome === undefined ? metric : Metric.withAttributes(metric, { outcome }), by)

export const gauged = (metric: Metric.Gauge<number>, value: number) => Metric.update(metric, value)
