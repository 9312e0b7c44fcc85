/**
 * What must hold whatever happens (numbers: the guarantees in the design), read from the real tables alone: from one
 * moment to the next, and over a whole history. The model has no say here.
 */
import { assert } from "@effect/vitest"
import { suspectAfter } from "../../src/MessageStore.ts"
import { holdLaneFor } from "../../src/OutboxStore.ts"
import type { Operation } from "./operations.ts"
import { assertSame, type ReplyRow, type Tables, type TurnRow } from "./world.ts"

/** From each state, the states it may become. Those without an entry are final. */
type Moves = Readonly<Record<string, ReadonlyArray<string>>>

const messageMoves: Moves = {
  queued: ["processing"],
  processing: ["queued", "done", "failed"],
  // A twin that addresses the bot; a full conversation keeps it as a dead letter.
  ignored: ["queued", "failed"]
}
const turnMoves: Moves = {
  waiting: ["running"],
  running: ["waiting", "done", "failed", "superseded"],
  asked: ["running"]
}
/** What only a person does: of messages, and of their turns. */
const byHand: Readonly<Partial<Record<Operation["_tag"], { readonly messages: Moves; readonly turns: Moves }>>> = {
  retryByHand: { messages: { failed: ["queued"], ignored: ["queued"] }, turns: { failed: ["asked"] } },
  discardByHand: {
    messages: { failed: ["ignored"], queued: ["ignored"] },
    turns: { waiting: ["failed"], asked: ["failed"] }
  }
}
const replyMoves: Moves = {
  queued: ["sending", "expired"],
  failed_retryable: ["sending", "expired"],
  sending: ["delivered", "unknown", "failed_retryable", "failed_terminal"],
  unknown: ["delivered", "failed_retryable", "failed_terminal"]
}

interface Stated {
  readonly id: number | string
  readonly state: string
}

/** A turn that failed and was asked for again has no end yet. */
const isAsked = ({ finished_at, state }: TurnRow) => state === "failed" && finished_at === null
const isUnfinished = (turn: TurnRow) => turn.state === "running" || turn.state === "waiting" || isAsked(turn)
const named = (turns: ReadonlyArray<TurnRow>) => turns.map((turn) => isAsked(turn) ? { ...turn, state: "asked" } : turn)

const index = <Row extends Stated>(rows: ReadonlyArray<Row>) => new Map(rows.map((row) => [row.id, row]))

/** G2, G6: rows move as drawn, final ones stay as they are to the last field, and only pruning takes them away. */
const moves = <Row extends Stated>(
  before: ReadonlyArray<Row>,
  after: ReadonlyArray<Row>,
  allowed: Moves,
  pruned: boolean,
  besides: Moves = {}
) => {
  const now = index(after)
  for (const row of before) {
    const next = now.get(row.id)
    const isFinal = allowed[row.state] === undefined
    const mayMove = besides[row.state] ?? []
    if (next === undefined) assert.isTrue(pruned && (isFinal || row.state === "ignored"), `${row.id} vanished`)
    else if (next.state === row.state && (isFinal || mayMove.length > 0)) assertSame(next, row)
    else if (next.state !== row.state) {
      assert.include([...allowed[row.state] ?? [], ...mayMove], next.state, `${row.id}: ${row.state} → ${next.state}`)
    }
  }
}

/** At every moment, as the living instance `me` finds it. */
const always = ({ messages, outbox, turns }: Tables, me: string) => {
  const open = turns.filter(({ state }) => state === "running" || state === "waiting")
  // G8: suspects run one at a time, so that a crash is held against the right one. What others left runs nowhere.
  const suspects = open.filter(({ crashes, owner, state }) =>
    state === "running" && owner === me && crashes >= suspectAfter
  )
  assert.isAtMost(suspects.length, 1)
  const stateOf = index(turns)
  // G4: one turn at a time per conversation.
  assert.strictEqual(new Set(open.map(({ conversation }) => conversation)).size, open.length)
  for (const { conversation, id, reason, state, turn_id } of messages) {
    const turn = turn_id === null ? undefined : stateOf.get(turn_id)
    // A message is where its turn is.
    if (state === "processing") assert.strictEqual(turn?.state, "running", `message ${id}`)
    if (state === "queued" && turn_id !== null) {
      assert.isTrue(turn !== undefined && isUnfinished(turn) && turn.state !== "running", `message ${id}`)
    }
    if (state === "ignored" && turn_id !== null) assert.strictEqual(reason, "discarded", `message ${id}`)
    if (state === "failed" && turn !== undefined) assert.strictEqual(turn.state, "failed", `message ${id}`)
    if (turn !== undefined) assert.strictEqual(turn.conversation, conversation)
    if (turn_id !== null && turn?.state === "done" && state !== "ignored") assert.strictEqual(state, "done")
  }
  for (const { id } of turns.filter(isUnfinished)) {
    const isThere = messages.some(({ state, turn_id }) => turn_id === id && state !== "ignored")
    assert.isTrue(isThere, `${id} is empty`)
  }
  assert.strictEqual(new Set(outbox.map(({ key }) => key)).size, outbox.length)
}

/** G8: what others left running waits again, the longest waiting first and one crash later; nothing else is touched. */
const recovered = (before: Tables, after: Tables, { limit, me }: { readonly limit: number; readonly me: string }) => {
  const left = before.turns.filter(({ owner, state }) => state === "running" && owner !== me)
    .toSorted((a, b) => a.due_at - b.due_at || (a.id < b.id ? -1 : 1))
  const taken = new Set(left.slice(0, limit).map(({ id }) => id))
  const now = index(after.turns)
  for (const turn of before.turns) {
    const then = now.get(turn.id)
    if (!taken.has(turn.id)) assertSame(then, turn)
    else assert.deepInclude(then, { state: "waiting", owner: null, crashes: turn.crashes + 1, interrupted: 1 })
  }
  return taken.size
}

const waits = ({ state }: ReplyRow) => state === "queued" || state === "failed_retryable"

/** What a history has shown so far. */
export const makeLedger = (beginning: Tables) => {
  /** Messages by the turn that ended with them: one event, one turn (G3). */
  const handled = new Map<number, string>()
  let last = beginning

  const membersOf = (tables: Tables, turn: string) =>
    tables.messages.filter(({ state, turn_id }) => turn_id === turn && state !== "ignored").map(({ id }) => id)

  /** G1, G3: what was taken is there once, and what was seen before makes no second row. */
  const appended = (keys: ReadonlyArray<string>, result: unknown, next: Tables) => {
    const tag = (result as { readonly _tag: string })._tag
    const seen = last.message_keys.filter(({ key }) => keys.includes(key))
    const isNew = seen.length === 0
    assert.strictEqual(next.messages.length, last.messages.length + (isNew ? 1 : 0))
    if (isNew) assert.include(["Queued", "Ignored", "Overflow"], tag)
    else assert.include(["Duplicate", "Overflow"], tag)
    assert.includeMembers(next.message_keys.map(({ key }) => key), [...keys])
  }

  /** G5: the completion, its messages and its replies are all there. */
  const completed = ({ replies, unstorable }: Extract<Operation, { readonly _tag: "complete" }>, next: Tables) => {
    assert.isFalse(unstorable)
    const done = ({ turns }: Tables) => turns.filter(({ state }) => state === "done").length
    assert.strictEqual(done(next), done(last) + 1)
    assert.includeMembers(next.outbox.map(({ key }) => key), replies.map((reply) => `reply-${reply}`))
  }

  /** What a person asks for again waits, with its turn where it has one that failed, and is recorded. */
  const askedFor = (ids: ReadonlyArray<number>, next: Tables) => {
    const rows = index(next.messages)
    const before = index(last.messages)
    const turnsBefore = index(last.turns)
    assert.strictEqual(next.by_hand.length, last.by_hand.length + ids.length)
    for (const id of ids) {
      const turn = before.get(id)?.turn_id ?? null
      const isOver = turn !== null && (turnsBefore.get(turn)?.state ?? "failed") !== "failed"
      assert.deepInclude(rows.get(id), { state: "queued", reason: null, turn_id: isOver ? null : turn })
      handled.delete(id)
    }
  }

  /** Between two moments with one operation between them. */
  const record = (done: Operation, result: unknown, next: Tables, { me, now }: { me: string; now: number }) => {
    const operation = done._tag
    const isPrune = operation === "prune"
    moves(last.messages, next.messages, messageMoves, isPrune, byHand[operation]?.messages)
    moves(named(last.turns), named(next.turns), turnMoves, isPrune, byHand[operation]?.turns)
    moves(last.outbox, next.outbox, replyMoves, isPrune)
    always(next, me)

    const isRefused = typeof result === "object" && result !== null && "refused" in result
    // A refused write, and the write of a former owner, changes nothing.
    if (isRefused) assertSame(next, last)
    else if (done._tag === "complete") completed(done, next)
    if (done._tag === "recover") assert.strictEqual(recovered(last, next, { limit: done.limit, me }), result)
    if (done._tag === "retryByHand") askedFor(result as ReadonlyArray<number>, next)
    if (done._tag === "append") appended([`event:${done.event}`, `message:${done.message}`], result, next)

    const turnsNow = index(next.turns)
    for (const turn of last.turns) {
      const then = turnsNow.get(turn.id)
      if (then === undefined || !isUnfinished(turn)) continue
      const members = membersOf(next, turn.id)
      // G8: a turn keeps its messages over every re-run; it grows only by adoption, and gives back what nobody saw.
      if (then.state === "superseded") assert.isEmpty(members)
      else if (done._tag === "complete") {
        const missing = membersOf(last, turn.id).filter((id) => !members.includes(id))
        assert.isAtMost(missing.length, then.state === "done" ? done.unseen : 0)
        const rows = index(next.messages)
        for (const id of missing) assert.deepInclude(rows.get(id), { state: "queued", turn_id: null, due_at: now })
      } else if (operation === "adopt" || operation === "retryByHand") {
        assert.includeMembers(members, membersOf(last, turn.id))
      } else if (operation === "discardByHand") assert.includeMembers(membersOf(last, turn.id), members)
      else assertSame(members, membersOf(last, turn.id))
      if (operation !== "releaseAll" && operation !== "restart") assert.isAtLeast(then.attempt, turn.attempt)
      // G8: a crash counts when the turn is recovered, so once for each run, and not for a turn that only waited.
      if (operation !== "recover") assert.isAtMost(then.crashes, turn.crashes)
      if (then.state === "done" || (then.state === "failed" && then.finished_at !== null)) {
        for (const id of members) {
          assert.isFalse(handled.has(id), `message ${id} ended in ${handled.get(id)} and in ${turn.id}`)
          handled.set(id, turn.id)
        }
      }
    }

    if (operation === "crash" || operation === "restart") {
      assert.isEmpty(next.turns.filter(({ owner, state }) => state === "running" && owner === me))
      assert.isEmpty(next.outbox.filter(({ state }) => state === "sending"))
    }

    // G4: what is sent now stands behind nothing that was committed before it.
    const sentBefore = index(last.outbox.filter(({ state }) => state === "sending"))
    for (const row of next.outbox) {
      if (row.state !== "sending" || sentBefore.has(row.id)) continue
      const ahead = last.outbox.filter((other) =>
        other.lane === row.lane && other.id < row.id &&
        (waits(other) || other.state === "sending" ||
          (other.state === "unknown" && (other.unknown_since ?? 0) > now - holdLaneFor))
      )
      assert.isEmpty(ahead)
    }
    last = next
  }

  /** G2: when everything had its chance, nothing waits any more. */
  const settled = ({ messages, outbox, turns }: Tables) => {
    for (const { id, state } of messages) assert.include(["done", "failed", "ignored"], state, `message ${id}`)
    for (const { id, state } of turns) assert.include(["done", "failed", "superseded"], state, id)
    for (const { id, state } of outbox) {
      assert.include(["delivered", "failed_terminal", "expired"], state, `reply ${id}`)
    }
  }

  return { record, settled }
}
