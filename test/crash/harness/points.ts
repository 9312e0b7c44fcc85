/**
 * The named points on the way of a message at which a process is killed, and how we know afterwards that it was there.
 *
 * Most are traps inside the process (`programs/inside.ts`), since nothing outside could hit them; the others are
 * reached from outside. A hit is counted only when the file of the dead process, its log or LocalSlack's journal shows it.
 */
import { Effect } from "effect"
import { LocalSlack } from "slackwater/testing"
import { count, type Gateway, logged, query } from "../harness.ts"
import { atPoint, isTrap, type TrapPoint } from "../traps.ts"

export const points = [
  "after commit before ack",
  "after ack before claim",
  "inside the window",
  "inside the handler",
  "after the handler before commit",
  "after commit before send",
  "after send before record",
  "inside migration",
  "inside prune",
  "inside shutdown"
] as const
export type Point = typeof points[number]

/** The points at which a process has not been told to stop yet. */
export const termPoints = points.filter((point) => point !== "inside shutdown")

/** Whether the process is at its trap. */
export const isCaught = (gateway: Gateway, point: TrapPoint) => gateway.stderr().includes(atPoint(point))

const instance = "(SELECT id FROM slackwater_instances WHERE pid = ? ORDER BY number DESC LIMIT 1)"
export const runningTurns = ({ dataDir, pid }: Gateway) =>
  count(dataDir, `SELECT count(*) FROM slackwater_turns WHERE state = 'running' AND owner = ${instance}`, pid)

/** People's messages that wait: in an open window, or due. */
const waitingMessages = ({ dataDir }: Gateway, where: string, ...values: ReadonlyArray<number>) =>
  count(
    dataDir,
    `SELECT count(*) FROM slackwater_messages WHERE state = 'queued' AND turn_id IS NULL AND ${where}`,
    ...values
  )

/** Whether the dead process was at the point. */
export const wasAt = Effect.fnUntraced(function*(point: Point, gateway: Gateway, diedAt: number) {
  if (isTrap(point) && !isCaught(gateway, point)) return false
  const { dataDir } = gateway
  switch (point) {
    case "after commit before ack": {
      const unacked = yield* (yield* LocalSlack).unacked
      const stored = new Set(
        query(dataDir, "SELECT key FROM slackwater_message_keys WHERE key LIKE 'event:%'").map((row) => row["key"])
      )
      return unacked.some((event) => stored.has(`event:${event}`))
    }
    case "after ack before claim":
      return waitingMessages(gateway, "due_at <= ?", diedAt) > 0
    case "inside the window":
      return waitingMessages(gateway, "due_at > ?", diedAt) > 0
    case "inside the handler":
    case "after the handler before commit":
      return runningTurns(gateway) > 0
    case "after commit before send":
      // What could go at once begins as `sending`.
      return count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE state IN ('queued', 'sending')") > 0
    case "after send before record":
      return count(dataDir, "SELECT count(*) FROM slackwater_outbox WHERE state = 'sending'") > 0
    // Nothing of an unfinished transaction is in the file: what the process said is all there is.
    case "inside migration":
    case "inside prune":
      return true
    case "inside shutdown":
      return logged(gateway, "stopping").length > 0 && logged(gateway, "stopped").length === 0
  }
})
