/**
 * The limit: the gateway's own file, schema, pragmas and statements under bare `node:sqlite`, without Effect and without
 * all that a gateway does beside its statements. It is the only one who writes and knows it, and no statement of it fails.
 *
 * `group`: what waits shares one transaction, in the order of `src/sql/batch.ts`; else each step has its own.
 * `reply`: the row of a reply is committed with the end of its turn.
 */
import { Effect, Layer, ManagedRuntime, References } from "effect"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import { MessageStore } from "../../../src/MessageStore.ts"
import { encodeDispatch } from "../../../src/sql/outboxRows.ts"
import { ground } from "../../ground.ts"
import { countingCommits } from "../commits.ts"
import type { Measure } from "../Measured.ts"
import { measureWay } from "../phases.ts"
import { producing, until, type Way } from "../Way.ts"
import { messageAt, replyTo, stored } from "./message.ts"
import { recorded } from "./recorded.ts"
import { prepare } from "./statements.ts"

/** As `src/sql/GroupCommit.ts`. */
const most = 256
const owner = "bench"

interface Enqueue {
  readonly n: number
  readonly done: () => void
}

interface Turn {
  readonly id: string
  readonly conversation: string
  readonly n: number
}

/**
 * Makes the file by the gateway itself, so that nothing of it can differ; answers how the store asks for what is ready,
 * which it puts together anew each time.
 */
const prepareFile = async (dataDir: string) => {
  const runtime = ManagedRuntime.make(
    Layer.provide(ground(dataDir), Layer.succeed(References.MinimumLogLevel, "Fatal"))
  )
  const store = await runtime.runPromise(MessageStore)
  const [now, limit] = [1_777_777_777_777, 7_777]
  const asked = await recorded(() => runtime.runPromise(Effect.asVoid(store.ready(now, limit))))
  await runtime.dispose()
  const ready = asked.find(({ text }) => text.includes("slackwater_messages"))
  if (ready === undefined) throw new Error("the store did not ask for what is ready")
  return {
    text: ready.text,
    values: (at: number, free: number): Array<SQLInputValue> =>
      ready.values.map((value) => value === now ? at : value === limit ? free : value as SQLInputValue)
  }
}

const open = (directory: string, group: boolean, withReply: boolean) => async (concurrency: number): Promise<Way> => {
  const dataDir = join(directory, `raw-${concurrency}`)
  const file = join(dataDir, "slackwater.db")
  const ready = await prepareFile(dataDir)
  const db = new DatabaseSync(file)
  for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"]) {
    db.exec(`PRAGMA ${pragma}`)
  }
  const run = prepare(db)
  const askReady = db.prepare(ready.text)
  const [begin, commit] = [db.prepare("BEGIN IMMEDIATE"), db.prepare("COMMIT")]
  const enqueues: Array<Enqueue> = []
  const ended: Array<Turn> = []
  let handled: ((n: number) => void) | undefined
  let free = 0
  let mayWait = false
  let isDue = false

  const end = (turns: ReadonlyArray<Turn>, now: number) => {
    run.leave(turns.map(({ id }) => [id, owner, now]))
    run.finish(turns.map(({ id }) => [id, now]))
    if (!withReply) return
    const replies = turns.map(({ conversation, id }) => ({ id, ...replyTo(id, conversation) }))
    run.lookReplies(replies.map(({ key, lane }) => [key, lane]))
    run.insertReplies(replies.map(({ destination: { channel, threadTs = null }, dispatch, id, key, lane }) => [
      key,
      lane,
      channel,
      threadTs,
      encodeDispatch(dispatch),
      "queued",
      null,
      id,
      null,
      0,
      now,
      now,
      now,
      null
    ]))
  }

  /** Those that are begun at once are answered. */
  const append = (waiting: ReadonlyArray<Enqueue>, now: number): ReadonlyArray<Turn> => {
    const room = handled === undefined || mayWait ? 0 : free
    const arrivals = waiting.map(({ n }, index) => ({ n, begins: index < room, ...messageAt(n) }))
    const known = run.known(arrivals.map(({ begins, message }, index) => [
      index,
      message.conversation,
      message.ts,
      begins ? 1 : 0
    ]))
    run.knownKeys(arrivals.flatMap(({ keys }) => keys.map((key) => [key])))
    const last = Number(known[0]?.["last"] ?? 0)
    const rows = arrivals.map((arrival, index) => {
      const id = last + 1 + index
      return { ...arrival, id, turn: arrival.begins ? `turn_${now.toString(36)}_${id}` : null }
    })
    run.insertMessages(rows.map(({ id, message, turn }) => [
      id,
      message.conversation,
      message.ts,
      stored(message),
      turn === null ? "queued" : "processing",
      null,
      turn,
      now,
      now,
      null,
      null
    ]))
    run.insertKeys(rows.flatMap(({ id, keys }) => keys.map((key) => [key, id, now])))
    const begun = rows.flatMap(({ message: { conversation }, n, turn }) =>
      turn === null ? [] : [{ id: turn, conversation, n }]
    )
    run.beginTurns(begun.map(({ conversation, id }) => [id, conversation, owner, now, now, now]))
    return begun
  }

  const claim = (conversations: ReadonlyArray<string>, now: number): ReadonlyArray<Turn> => {
    const found = run.look(conversations.map((conversation, n) => [n, conversation, now]))
    const turns = found.map((row) => ({
      id: `turn_${now.toString(36)}_${String(row["id"])}`,
      message: Number(row["id"]),
      conversation: conversations[Number(row["n"])] ?? "",
      n: Number(JSON.parse(String(row["message"])).payload.n)
    }))
    run.claimTurns(turns.map(({ conversation, id }) => [id, conversation, owner, now, now, now]))
    run.take(turns.map(({ id, message }) => [message, id]))
    return turns
  }

  const inTransaction = <A>(body: () => A): A => {
    begin.all()
    const result = body()
    commit.all()
    return result
  }

  const askWhatIsReady = (limit: number, now: number) =>
    askReady.all(...ready.values(now, limit)).map((row) => String(row["conversation"]))

  const hand = (turns: ReadonlyArray<Turn>) => {
    free -= turns.length
    for (const turn of turns) {
      // A handler is asynchronous, if only for a moment.
      void Promise.resolve().then(() => {
        handled?.(turn.n)
        ended.push(turn)
        wake()
      })
    }
  }

  /** Everything that waits, in one transaction. */
  const together = (now: number) => {
    const limit = handled !== undefined && mayWait ? free : 0
    const conversations = limit === 0 ? [] : askWhatIsReady(limit, now)
    if (limit > 0) mayWait = conversations.length === limit
    const acks = enqueues.splice(0, most)
    const ends = ended.splice(0, most)
    if (acks.length + ends.length + conversations.length === 0) return
    free += ends.length - conversations.length
    const turns = inTransaction(() => {
      if (ends.length > 0) end(ends, now)
      const begun = acks.length === 0 ? [] : append(acks, now)
      if (begun.length < acks.length) mayWait = true
      return [...begun, ...conversations.length === 0 ? [] : claim(conversations, now)]
    })
    free += conversations.length
    for (const { done } of acks) done()
    hand(turns)
  }

  /** A transaction each, and nothing begun with its insert. */
  const apart = (now: number) => {
    const [enqueue] = enqueues.splice(0, 1)
    if (enqueue !== undefined) {
      mayWait = true
      inTransaction(() => append([enqueue], now))
      enqueue.done()
    }
    const [ending] = ended.splice(0, 1)
    if (ending !== undefined) {
      inTransaction(() => end([ending], now))
      free += 1
    }
    if (handled !== undefined && free > 0 && mayWait) {
      const conversations = askWhatIsReady(1, now)
      mayWait = conversations.length > 0
      if (mayWait) hand(inTransaction(() => claim(conversations, now)))
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
