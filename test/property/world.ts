/** The real stores and the model side by side: every call goes to both, and everything in the tables is compared. */
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { isDeepStrictEqual } from "node:util"
import { type Data, Database } from "../../src/memory/Database.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import { OutboxStore } from "../../src/OutboxStore.ts"
import type { StoreError } from "../../src/StoreError.ts"
import { Restart } from "../contract/Restart.ts"
import { stores as inMemory } from "../fixtures/memory.ts"
import { epoch } from "../fixtures/time.ts"

export interface Stores {
  readonly messages: MessageStore["Service"]
  readonly outbox: OutboxStore["Service"]
  readonly restart: Restart["Service"]
}

/** The tables, row by row, as one text. */
const columns = {
  messages: ["id", "conversation", "slack_ts", "state", "reason", "turn_id", "due_at", "received_at", "finished_at"],
  turns: [
    "id",
    "conversation",
    "state",
    "owner",
    "attempt",
    "failures",
    "crashes",
    "interrupted",
    "status",
    "due_at",
    "error",
    "created_at",
    "finished_at"
  ],
  by_hand: ["message_id", "at", "action", "reason"],
  message_keys: ["key", "message_id", "seen_at"],
  steps: ["turn_id", "name", "result"],
  conversations: ["conversation", "state"],
  outbox: [
    "id",
    "key",
    "lane",
    "channel",
    "state",
    "owner",
    "turn_id",
    "attempts",
    "due_at",
    "enqueued_at",
    "sent_at",
    "unknown_since",
    "looks",
    "reason",
    "slack_ts",
    "finished_at"
  ]
} as const

/** Which columns of which tables are read and compared. */
export type Columns = Readonly<Partial<Record<keyof typeof columns, ReadonlyArray<string>>>>

/** Everything about replies, and nothing else. */
export const outboxColumns: Columns = {
  outbox: [
    "id",
    "key",
    "lane",
    "channel",
    "kind",
    "state",
    "interim",
    "owner",
    "turn_id",
    "target_id",
    "part_of",
    "tries",
    "attempts",
    "due_at",
    "enqueued_at",
    "lives_from",
    "sent_at",
    "unknown_since",
    "late",
    "looks",
    "newest",
    "held",
    "degraded",
    "error_class",
    "reason",
    "failed_at",
    "retried_at",
    "slack_channel",
    "slack_ts",
    "finished_at"
  ]
}

export interface MessageRow {
  readonly id: number
  readonly conversation: string
  readonly slack_ts: string
  readonly state: string
  readonly reason: string | null
  readonly turn_id: string | null
  readonly due_at: number
}
export interface TurnRow {
  readonly id: string
  readonly conversation: string
  readonly state: string
  readonly owner: string | null
  readonly attempt: number
  readonly crashes: number
  readonly interrupted: number
  readonly due_at: number
  readonly failures: number
  readonly finished_at: number | null
}
export interface ReplyRow {
  readonly id: number
  readonly key: string
  readonly lane: string
  readonly kind: string
  readonly state: string
  readonly interim: number
  readonly turn_id: string | null
  readonly target_id: number | null
  readonly part_of: number | null
  readonly due_at: number
  readonly sent_at: number | null
  readonly unknown_since: number | null
  readonly error_class: string | null
  readonly reason: string | null
}
export interface Tables {
  readonly messages: ReadonlyArray<MessageRow>
  readonly turns: ReadonlyArray<TurnRow>
  readonly message_keys: ReadonlyArray<{ readonly key: string; readonly message_id: number }>
  readonly by_hand: ReadonlyArray<{ readonly message_id: number; readonly action: string }>
  readonly outbox: ReadonlyArray<ReplyRow>
}

const firstColumns: Record<keyof typeof columns, string> = {
  messages: "id",
  turns: "id",
  by_hand: "id",
  message_keys: "key",
  steps: "turn_id, name",
  conversations: "conversation",
  outbox: "id"
}

const table = (name: keyof typeof columns, wanted: ReadonlyArray<string>) => {
  const fields = wanted.map((column) => `'${column}', ${column}`)
  if (name === "messages") fields.push("'text', message ->> '$.text', 'thread', message ->> '$.threadTs'")
  const rows = `json_group_array(json_object(${fields.join(", ")}) ORDER BY ${firstColumns[name]})`
  return `'${name}', (SELECT ${rows} FROM slackwater_${name})`
}

const namesOf = (wanted: Columns) => Object.keys(wanted) as ReadonlyArray<keyof typeof columns>

const readingOf = (wanted: Columns) =>
  `SELECT json_object(${namesOf(wanted).map((name) => table(name, wanted[name] ?? [])).join(", ")}) AS tables`

const byText = <Row>(of: (row: Row) => string) => (a: Row, b: Row) => of(a) < of(b) ? -1 : 1

/** The same from the model. */
const rowsOf = {
  messages: (data: Data) =>
    [...data.messages.values()].map((row) => ({
      id: row.id,
      conversation: row.conversation,
      slack_ts: row.message.ts,
      state: row.state,
      reason: row.reason,
      turn_id: row.turn,
      due_at: row.dueAt,
      received_at: row.receivedAt,
      finished_at: row.finishedAt,
      text: row.message.text,
      thread: row.message.threadTs ?? null
    })),
  turns: (data: Data) =>
    [...data.turns.values()].toSorted(byText(({ id }) => id)).map((row) => ({
      id: row.id,
      conversation: row.conversation,
      state: row.state,
      owner: row.owner,
      attempt: row.attempt,
      failures: row.failures,
      crashes: row.crashes,
      interrupted: row.interrupted ? 1 : 0,
      status: row.status,
      due_at: row.dueAt,
      error: row.error,
      created_at: row.createdAt,
      finished_at: row.finishedAt
    })),
  by_hand: (data: Data) =>
    data.byHand.map(({ action, at, message, reason }) => ({ message_id: message, at, action, reason })),
  message_keys: (data: Data) =>
    [...data.keys].toSorted(byText(([key]) => key)).map(([key, { message, seenAt }]) => ({
      key,
      message_id: message,
      seen_at: seenAt
    })),
  steps: (data: Data) =>
    [...data.steps].flatMap(([turn_id, steps]) => [...steps].map(([name, result]) => ({ turn_id, name, result })))
      .toSorted(byText(({ name, turn_id }) => `${turn_id} ${name}`)),
  conversations: (data: Data) =>
    [...data.states].map(([conversation, state]) => ({ conversation, state }))
      .toSorted(byText(({ conversation }) => conversation)),
  outbox: (data: Data) =>
    [...data.replies.values()].map((row) => ({
      id: row.id,
      key: row.key,
      lane: row.lane,
      channel: row.destination.channel,
      kind: row.dispatch._tag,
      state: row.state,
      interim: Number(row.interim),
      owner: row.owner,
      turn_id: row.turn,
      target_id: row.target,
      part_of: row.partOf,
      tries: row.tries,
      attempts: row.attempts,
      due_at: row.dueAt,
      enqueued_at: row.enqueuedAt,
      lives_from: row.livesFrom,
      sent_at: row.sentAt,
      unknown_since: row.unknownSince,
      late: Number(row.late),
      looks: row.looks,
      newest: row.newest,
      held: Number(row.held),
      degraded: Number(row.degraded),
      error_class: row.error,
      reason: row.reason,
      failed_at: row.failedAt,
      retried_at: row.retriedAt,
      slack_channel: row.at?.channel ?? null,
      slack_ts: row.at?.ts ?? null,
      finished_at: row.finishedAt
    }))
}

const tablesOf = (data: Data, wanted: Columns): string =>
  JSON.stringify(Object.fromEntries(
    namesOf(wanted).map((name) => {
      const rows: ReadonlyArray<Record<string, unknown>> = rowsOf[name](data)
      const extra = name === "messages" ? ["text", "thread"] : []
      const kept = [...(wanted[name] ?? []), ...extra]
      return [name, rows.map((row) => Object.fromEntries(kept.map((column) => [column, row[column]])))]
    })
  ))

/** Chai's own comparison is slow; it is asked only for its words. */
export const assertSame = (found: unknown, expected: unknown): void => {
  if (!isDeepStrictEqual(found, expected)) assert.deepStrictEqual(found, expected)
}

/** What a call answered: its value, or the tag of its refusal. */
const outcome = <A>(call: Effect.Effect<A, StoreError>) =>
  Effect.match(call, {
    onSuccess: (value): unknown => value,
    onFailure: (error): unknown => ({ refused: error.reason._tag })
  })

const stores = Effect.gen(function*() {
  return { messages: yield* MessageStore, outbox: yield* OutboxStore, restart: yield* Restart }
})

/** Both, empty, and the clock at its beginning. */
export const makeWorld = Effect.fnUntraced(function*(wanted: Columns = columns) {
  const sql = yield* SqlClient.SqlClient
  const real: Stores = yield* stores
  const [model, data] = yield* Effect.all([stores, Database]).pipe(
    Effect.provide(Layer.fresh(inMemory), { local: true })
  )
  for (const name of ["instances", ...Object.keys(columns)]) yield* sql.unsafe(`DELETE FROM slackwater_${name}`)
  yield* sql`DELETE FROM sqlite_sequence`

  const read = Effect.map(
    sql.unsafe<{ readonly tables: string }>(readingOf(wanted)),
    ([row]) => row?.tables ?? ""
  )

  const world = {
    real,
    model,
    data,
    now: epoch,
    /** Instances so far; the last one lives. */
    owner: 1,
    /** What is in the tables, as after the last comparison. */
    text: "",

    /** The same call on both, which must answer the same. */
    both: Effect.fnUntraced(function*<A>(call: (stores: Stores) => Effect.Effect<A, StoreError>) {
      const expected = yield* outcome(call(model))
      const found = yield* outcome(call(real))
      assertSame(found, expected)
      return found as A | { readonly refused: string }
    }),

    /** The tables of both must be the same. */
    compare: Effect.gen(function*() {
      const found = yield* read
      const expected = tablesOf(data, wanted)
      if (found !== expected) assert.deepStrictEqual(JSON.parse(found), JSON.parse(expected))
      world.text = found
      return JSON.parse(found) as Tables
    }),

    setTime: (now: number) => {
      world.now = now
      return TestClock.setTime(now)
    }
  }
  yield* world.setTime(epoch)
  return world
})

export type World = Effect.Success<ReturnType<typeof makeWorld>>
