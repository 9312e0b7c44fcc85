/** Rows in every state, in a data directory on which no gateway runs, and what the commands say about them. */
import { assert } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { join } from "node:path"
import { DatabaseSync, type SQLOutputValue } from "node:sqlite"
import { type ImportedReply, OutboxStore } from "../../src/OutboxStore.ts"
import * as Beside from "../../src/sql/Beside.ts"
import { key } from "../fixtures/messages.ts"
import { decodeAnswer } from "./answered.ts"
import { outcome } from "./process.ts"

export const dataIn = (cwd: string) => join(cwd, "slackwater-data")

export interface Seed extends Partial<Pick<ImportedReply, "state" | "part" | "interim">> {
  readonly text: string
  readonly channel?: string
  readonly thread?: string
  readonly error?: string
  readonly reason?: string
}

/** Puts them there in this order, as rows 1, 2, 3 and so on. */
export const seed = (cwd: string, seeds: ReadonlyArray<Seed>) =>
  Effect.gen(function*() {
    const now = Date.now()
    const rows = seeds.map((
      { channel = "D0ALICE", error, reason, state = "queued", text, thread, ...given },
      index
    ) => ({
      ...given,
      key: `seed:${index}`,
      lane: key(thread === undefined ? channel : `${channel}/${thread}`),
      destination: thread === undefined ? { channel } : { channel, threadTs: thread },
      dispatch: { _tag: "Post", text } as const,
      state,
      attempts: 0,
      enqueuedAt: now,
      failure: error === undefined ? null : { error, reason: reason ?? error },
      failedAt: error === undefined ? null : now
    }))
    // A later part belongs to the group of its first one.
    const groups: Array<Array<ImportedReply>> = []
    for (const row of rows) {
      if (row.part === undefined) groups.push([row])
      else groups.at(-1)?.push(row)
    }
    yield* (yield* OutboxStore).import(groups, now)
  }).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))

/** For what only a gateway does: a row in hand, a newer schema, a table that is gone. */
export const execute = (cwd: string, statement: string) => {
  const db = new DatabaseSync(join(dataIn(cwd), "slackwater.db"), { timeout: 5_000 })
  try {
    db.exec(statement)
  } finally {
    db.close()
  }
}

export const rowsIn = (cwd: string): ReadonlyArray<Record<string, SQLOutputValue>> => {
  const db = new DatabaseSync(join(dataIn(cwd), "slackwater.db"), { readOnly: true, timeout: 5_000 })
  try {
    return db.prepare("SELECT * FROM slackwater_outbox ORDER BY id").all()
  } finally {
    db.close()
  }
}

export const statesIn = (cwd: string) => rowsIn(cwd).map(({ state }) => state)

/** Runs `outbox …` to its success and answers what it printed. */
export const outbox = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(["outbox", ...args], { cwd })
  assert.strictEqual(code, 0, stderr)
  return stdout
})

/** The same with --json: it must be what the schema says, and no field more. */
export const outboxJson = <A, I>(schema: Schema.Codec<A, I>) => (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.map(
    outbox(cwd, ...args, "--json"),
    decodeAnswer(schema)
  )
