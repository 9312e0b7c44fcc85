/**
 * The limit: the gateway's own file, schema and pragmas under bare `node:sqlite`, with prepared statements, no Effect, no
 * checks and nothing that a gateway needs besides: who claims trusts that nobody else does.
 *
 * A life is what the stores write for one: the message with its two keys; a turn that takes it; the turn's and the
 * message's end, and with `reply` the row of its reply in the same commit.
 * `group`: what waits shares one transaction; else each step has its own.
 */
import { Effect, References } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Database from "../../../src/sql/Database.ts"
import { migrate } from "../../../src/sql/migrations.ts"
import { countingCommits } from "../commits.ts"
import type { Measure } from "../Measured.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"
import { messageAt, replyTo, stored } from "./message.ts"

/** As `src/sql/GroupCommit.ts`. */
const most = 256

interface Enqueue {
  readonly n: number
  readonly done: () => void
}

interface Taken {
  readonly id: number
  readonly conversation: string
  readonly turn: string
}

/** Made by the gateway itself, so that nothing of it can differ. */
const makeFile = (file: string) =>
  Effect.runPromise(
    Effect.scoped(Effect.asVoid(Database.openFile(file, 100, migrate))).pipe(
      Effect.provideService(References.MinimumLogLevel, "Warn")
    )
  )

const statements = (db: DatabaseSync) => ({
  begin: db.prepare("BEGIN IMMEDIATE"),
  commit: db.prepare("COMMIT"),
  message: db.prepare(`INSERT INTO slackwater_messages
    (conversation, slack_ts, message, state, reason, due_at, received_at, finished_at, trace)
    VALUES (?, ?, ?, 'queued', NULL, ?, ?, NULL, NULL) RETURNING id`),
  key: db.prepare(`INSERT INTO slackwater_message_keys (key, message_id, seen_at) VALUES (?, ?, ?)
    ON CONFLICT (key) DO NOTHING`),
  waiting: db.prepare(`SELECT id, conversation, message FROM slackwater_messages
    WHERE state = 'queued' AND turn_id IS NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?`),
  turn: db.prepare(`INSERT INTO slackwater_turns
    (id, conversation, state, owner, attempt, due_at, created_at, started_at)
    VALUES (?, ?, 'running', ?, 1, ?, ?, ?)`),
  take: db.prepare("UPDATE slackwater_messages SET state = 'processing', turn_id = ? WHERE id = ?"),
  endTurn: db.prepare(`UPDATE slackwater_turns SET state = 'done', owner = NULL, finished_at = ?
    WHERE id = ? AND owner = ? AND state = 'running'`),
  endMessages: db.prepare(`UPDATE slackwater_messages SET state = 'done', finished_at = ?
    WHERE turn_id = ? AND state = 'processing'`),
  reply: db.prepare(`INSERT INTO slackwater_outbox
    (key, lane, channel, thread_ts, kind, dispatch, state, interim, turn_id, target_id, part_of,
     due_at, enqueued_at, lives_from, trace)
    VALUES (?, ?, ?, ?, 'Post', ?, 'queued', 0, ?, NULL, NULL, ?, ?, ?, NULL) ON CONFLICT (key) DO NOTHING`)
})

const open = (directory: string, group: boolean, withReply: boolean) => async (concurrency: number): Promise<Way> => {
  const file = join(directory, `raw-${concurrency}.db`)
  await makeFile(file)
  const db = new DatabaseSync(file)
  for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"]) {
    db.exec(`PRAGMA ${pragma}`)
  }
  const run = statements(db)
  const owner = "bench"
  const enqueues: Array<Enqueue> = []
  const ended: Array<Taken> = []
  let handled: ((n: number) => void) | undefined
  let free = 0
  let mayWait = false
  let isDue = false

  const insert = ({ n }: Enqueue, now: number) => {
    const { keys, message } = messageAt(n)
    const row = run.message.get(message.conversation, message.ts, stored(message), now, now)
    for (const key of keys) run.key.run(key, row?.["id"] ?? null, now)
  }

  const end = ({ conversation, turn }: Taken, now: number) => {
    run.endTurn.run(now, turn, owner)
    run.endMessages.run(now, turn)
    if (!withReply) return
    const reply = replyTo(turn, conversation)
    const { channel, threadTs = null } = reply.destination
    run.reply.run(reply.key, reply.lane, channel, threadTs, JSON.stringify(reply.dispatch), turn, now, now, now)
  }

  const take = (limit: number, now: number): ReadonlyArray<readonly [Taken, n: number]> =>
    run.waiting.all(now, limit).map(({ conversation, id, message }) => {
      const taken = { id: Number(id), conversation: String(conversation), turn: `turn_${now.toString(36)}_${id}` }
      run.turn.run(taken.turn, taken.conversation, owner, now, now, now)
      run.take.run(taken.turn, taken.id)
      return [taken, Number(JSON.parse(String(message)).payload.n)]
    })

  const inTransaction = <A>(body: () => A): A => {
    run.begin.run()
    const result = body()
    run.commit.run()
    return result
  }

  const hand = (taken: ReadonlyArray<readonly [Taken, n: number]>) => {
    for (const [turn, n] of taken) {
      free -= 1
      // A handler is asynchronous, if only for a moment.
      void Promise.resolve(n).then((n) => {
        handled?.(n)
        ended.push(turn)
        wake()
      })
    }
  }

  /** Everything that waits, in one transaction. */
  const together = (now: number) => {
    const acks = enqueues.splice(0, most)
    const ends = ended.splice(0, most)
    free += ends.length
    const limit = handled !== undefined && (mayWait || acks.length > 0) ? Math.min(free, most) : 0
    if (acks.length + ends.length + limit === 0) return
    const taken = inTransaction(() => {
      for (const turn of ends) end(turn, now)
      for (const enqueue of acks) insert(enqueue, now)
      return limit === 0 ? [] : take(limit, now)
    })
    mayWait = handled === undefined ? mayWait || acks.length > 0 : taken.length === limit
    for (const { done } of acks) done()
    hand(taken)
  }

  /** A transaction each. */
  const apart = (now: number) => {
    const [enqueue] = enqueues.splice(0, 1)
    if (enqueue !== undefined) {
      inTransaction(() => insert(enqueue, now))
      mayWait = true
      enqueue.done()
    }
    const [ending] = ended.splice(0, 1)
    if (ending !== undefined) {
      inTransaction(() => end(ending, now))
      free += 1
    }
    if (handled !== undefined && free > 0 && mayWait) {
      const taken = inTransaction(() => take(1, now))
      mayWait = taken.length > 0
      hand(taken)
    }
  }

  const isBusy = () => enqueues.length + ended.length > 0 || (handled !== undefined && mayWait && free > 0)
  const wake = () => {
    if (isDue) return
    isDue = true
    setImmediate(() => {
      isDue = false
      ;(group ? together : apart)(Date.now())
      if (isBusy()) wake()
    })
  }

  return {
    durability: `synchronous=${db.prepare("PRAGMA synchronous").get()?.["synchronous"] === 2 ? "FULL" : "?"}`,
    versions: { SQLite: String(db.prepare("SELECT sqlite_version() AS v").get()?.["v"]) },
    produce: producing((n) =>
      new Promise<void>((done) => {
        enqueues.push({ n, done })
        wake()
      })
    ),
    consume: (concurrency, each) => {
      handled = each
      free = concurrency
      mayWait = true
      wake()
      return Promise.resolve(() => {
        handled = undefined
        return Promise.resolve()
      })
    },
    settled: () => until("nothing is left to be written", () => !isDue && enqueues.length + ended.length === 0),
    countCommits: countingCommits(file, () => new DatabaseSync(file)),
    close: () => Promise.resolve(db.close())
  }
}

export const measure: Measure = async (ask, { variant = {} }) => {
  const measured = await measureWay(open(ask.directory, variant["group"] === true, variant["reply"] === true), ask)
  // The file was made by our own code, which weighs more than all that is measured here.
  const { rssBusy: _busy, rssIdle: _idle, ...values } = measured.values
  return { ...measured, values }
}
