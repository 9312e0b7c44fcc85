/**
 * What must hold for replies whatever happens, read from the real table alone: live sends, recovery, late answers and
 * operators in any order. The model has no say here.
 */
import { assert } from "@effect/vitest"
import { holdLaneFor } from "../../src/OutboxStore.ts"
import type { Operation } from "./outboxOperations.ts"
import { assertSame, type ReplyRow, type Tables } from "./world.ts"

type Moves = Readonly<Record<string, ReadonlyArray<string>>>

const ended = new Set(["delivered", "failed_terminal", "expired"])
const unsettled = (row: ReplyRow) => !ended.has(row.state)

/** By whom a row is moved where: what nobody is listed for does not happen. */
const moves: Readonly<Record<Operation["_tag"], Moves>> = {
  // A final reply ends the interim ones of its turn.
  enqueue: { queued: ["failed_terminal"] },
  complete: { queued: ["failed_terminal"] },
  // What was on its way arrives.
  together: { queued: ["failed_terminal"], sending: ["delivered"], unknown: ["delivered"] },
  turn: {},
  send: {
    queued: ["sending", "expired", "failed_terminal"],
    failed_retryable: ["sending", "expired", "failed_terminal"]
  },
  delivered: { sending: ["delivered"], unknown: ["delivered"] },
  notSent: { sending: ["failed_retryable"] },
  unknown: { sending: ["unknown"] },
  looked: {},
  absent: { unknown: ["failed_retryable"] },
  // And the later parts behind it.
  failed: {
    sending: ["failed_terminal"],
    unknown: ["failed_terminal"],
    queued: ["failed_terminal"],
    failed_retryable: ["failed_terminal"]
  },
  expire: { queued: ["expired", "failed_terminal"], failed_retryable: ["expired", "failed_terminal"] },
  refused: {},
  import: {},
  retry: { failed_terminal: ["queued"], expired: ["queued"], unknown: ["queued"] },
  discard: {
    queued: ["failed_terminal"],
    failed_retryable: ["failed_terminal"],
    unknown: ["failed_terminal"],
    expired: ["failed_terminal"]
  },
  prune: {},
  crash: { sending: ["unknown", "failed_retryable", "failed_terminal"], queued: ["failed_terminal"] },
  restart: { sending: ["unknown", "failed_retryable", "failed_terminal"], queued: ["failed_terminal"] },
  wait: {}
}

const onlyInterim = new Set<Operation["_tag"]>(["enqueue", "complete", "together", "crash", "restart"])

export const makeOutboxLedger = (beginning: Tables) => {
  let last = beginning.outbox

  const moved = (done: Operation, before: ReplyRow, after: ReplyRow) => {
    const where = `row ${before.id}: ${before.state} → ${after.state} by ${done._tag}`
    const byOperator = done._tag === "retry" || done._tag === "discard"
    if (ended.has(before.state) && !byOperator) return assertSame(after, before)
    if (before.state === "delivered") return assertSame(after, before)
    if (before.state === after.state) return
    if (before.state === "unknown" && before.sent_at === null && before.key.startsWith("legacy:")) {
      assert.include(
        ["delivered", "absent", "failed", "retry", "discard", "together"],
        done._tag,
        `${where}, which nobody looks for`
      )
    }
    assert.include(moves[done._tag][before.state] ?? [], after.state, where)
    if (onlyInterim.has(done._tag) && before.state === "queued") assert.strictEqual(before.interim, 1, where)
    // Every failure says what it was.
    if (["failed_terminal", "expired", "unknown"].includes(after.state)) {
      assert.isNotNull(after.error_class, where)
      assert.isNotNull(after.reason, where)
    }
    if (done._tag === "retry") assert.strictEqual(before.interim, 0, "what was only progress is not sent again")
  }

  /** A row begins to be sent: nothing that stands before it holds it up. */
  const begins = (row: ReplyRow, rows: ReadonlyArray<ReplyRow>, now: number) => {
    const isOpen = (id: number | null) => rows.some((other) => other.id === id && unsettled(other))
    assert.isFalse(isOpen(row.target_id), `row ${row.id} changes a message whose fate is open`)
    for (const other of rows) {
      if (other.lane !== row.lane || other.id >= row.id || !unsettled(other)) continue
      const waitsLonger = isOpen(other.target_id) || (other.state === "queued" && other.due_at > now)
      const isPassedBy = other.state === "unknown"
        ? (other.unknown_since ?? 0) <= now - holdLaneFor
        : other.state !== "sending" && (waitsLonger || (other.interim === 1 && row.interim === 0))
      assert.isTrue(isPassedBy, `row ${row.id} is sent before ${other.id} (${other.state})`)
    }
  }

  return {
    /** Between two moments with one operation between them. */
    record: (done: Operation, { outbox: next }: Tables, now: number) => {
      const after = new Map(next.map((row) => [row.id, row]))
      for (const row of last) {
        const then = after.get(row.id)
        if (then === undefined) assert.isTrue(done._tag === "prune" && ended.has(row.state), `row ${row.id} vanished`)
        else moved(done, row, then)
      }
      const before = new Map(last.map((row) => [row.id, row]))
      const sending = next.filter(({ state }) => state === "sending")
      assert.strictEqual(new Set(sending.map(({ lane }) => lane)).size, sending.length, "two are sent in one lane")
      for (const row of sending) if (before.get(row.id)?.state !== "sending") begins(row, last, now)
      for (const row of next) {
        if (row.interim === 0) continue
        assert.notInclude(["unknown", "failed_retryable", "expired"], row.state, `row ${row.id} was only progress`)
        if (row.state === "failed_terminal") assert.strictEqual(row.reason, "interim")
        if (done._tag === "crash" || done._tag === "restart") assert.isFalse(unsettled(row))
      }
      // One row per key, whoever asks how often.
      assert.strictEqual(new Set(next.map(({ key }) => key)).size, next.length)
      last = next
    },
    /** When everything had its chance, nothing waits any more. */
    settled: ({ outbox }: Tables) => {
      for (const row of outbox) assert.isFalse(unsettled(row), `row ${row.id} is ${row.state}`)
    }
  }
}
