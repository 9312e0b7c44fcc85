/** One operation on both outboxes. What it names by number is looked up in the model, so that it means something. */
import { Effect } from "effect"
import { endedBefore } from "../../src/Cutoff.ts"
import type { Dispatch } from "../../src/Dispatch.ts"
import type { ReplyRow } from "../../src/memory/Database.ts"
import { OwnerId, TurnId } from "../../src/Message.ts"
import { cancelled, type ImportedReply, type NewReply, type ReplyState, type Selection } from "../../src/OutboxStore.ts"
import type { StoreError } from "../../src/StoreError.ts"
import { arrival, at, failure, inbound, key, post } from "../fixtures/messages.ts"
import type { Operation } from "./outboxOperations.ts"
import type { Stores, World } from "./world.ts"

const lanes = ["D0", "D1"]
const laneOf = (n: number) => lanes[n] ?? "D0"
const owner = (n: number) => OwnerId.make(`owner-${n}`)
const nth = <A>(list: ReadonlyArray<A>, n: number): A | undefined => list[n % Math.max(1, list.length)]

type Enqueue = Extract<Operation, { readonly _tag: "enqueue" }>
type OfRow = Extract<Operation, { readonly former: boolean }>

const rowsOf = ({ data }: World): ReadonlyArray<ReplyRow> => [...data.replies.values()]

/** The row that is meant, most likely one that it can be done to. */
const rowIn = (world: World, row: number, states: ReadonlyArray<ReplyState>): number => {
  const all = rowsOf(world)
  const fitting = all.filter(({ state }) => states.includes(state))
  return nth(row === 0 || fitting.length === 0 ? all : fitting, row)?.id ?? 4_711
}

const dispatchOf = ({ key: name, kind }: Enqueue): Dispatch => {
  const text = `text-${name}`
  switch (kind) {
    case "Post":
    case "Update":
      return { _tag: kind, text, ...(name % 3 === 0 ? { blocks: [{ type: "divider" }] } : {}) }
    case "Delete":
      return { _tag: kind }
    case "React":
      return { _tag: kind, name: "eyes" }
    case "Ephemeral":
      return { _tag: kind, user: "U1", text }
  }
}

const repliesOf = (world: World, operation: Enqueue): ReadonlyArray<NewReply> => {
  const dispatch = dispatchOf(operation)
  const changes = operation.kind === "Update" || operation.kind === "Delete" || operation.kind === "React"
  const lane = laneOf(operation.lane)
  const posts = rowsOf(world).filter((row) => row.lane === lane && row.dispatch._tag === "Post")
  const target = nth(posts, operation.target)?.id ?? 4_711
  return Array.from(
    { length: changes ? 1 : operation.parts },
    (_, part) =>
      post(`key-${operation.key}${part === 0 ? "" : `#${part}`}`, lane, {
        dispatch,
        ...(operation.interim ? { interim: true } : {}),
        ...(changes ? { target } : {}),
        ...(part === 0 ? {} : { part }),
        ...(operation.notBefore === 0 ? {} : { notBefore: world.now + operation.notBefore })
      })
  )
}

/** An entry of a legacy queue, of one part or two. What is known of it is known by all of its rows. */
const legacyOf = (
  { age, lane, state: said }: Extract<Operation, { readonly _tag: "import" }>,
  id: number,
  now: number
): ReadonlyArray<ImportedReply> => {
  const interim = said === "interim"
  const state = said === "interim" ? "failed_terminal" : said
  const ended = state === "failed_terminal" || state === "expired"
  const why = state === "queued" || state === "delivered"
    ? null
    : interim
    ? failure("interim", "Interim")
    : failure("as it was", state === "unknown" ? "Ambiguous" : "Imported")
  return Array.from({ length: 1 + id % 2 }, (_, part): ImportedReply => ({
    key: `legacy:${id}:${part}`,
    lane: key(laneOf(lane)),
    destination: { channel: laneOf(lane) },
    dispatch: { _tag: "Post", text: `legacy ${id} ${part}` },
    state: part > 0 && ended ? "failed_terminal" : state,
    attempts: id % 3,
    enqueuedAt: now - age,
    failure: part > 0 && ended && !interim ? failure("an earlier part", cancelled) : why,
    failedAt: why === null ? null : now - age,
    ...(interim ? { interim } : {}),
    ...(part === 0 ? {} : { part })
  }))
}

const turnIn = (world: World, lane: string) => {
  const turn = [...world.data.turns.values()].findLast(({ conversation }) => conversation === lane)
  return turn === undefined ? undefined : { turn: turn.id, owner: owner(world.owner), attempt: turn.attempt }
}

/** Of each kind in the order in which they are said, whatever is done in the same commit. */
const allAtOnce = Effect.fnUntraced(
  function*(world: World, operation: Extract<Operation, { readonly _tag: "together" }>) {
    const { both, now } = world
    const me = owner(operation.byFormer ? world.owner - 1 : world.owner)
    const sender = operation.sender ? me : undefined
    const atOnce = <A>(calls: ReadonlyArray<Effect.Effect<A, StoreError>>) =>
      Effect.forEach(
        calls,
        (call) => Effect.match(call, { onSuccess: (value): unknown => value, onFailure: ({ reason }) => reason._tag }),
        { concurrency: "unbounded" }
      )
    yield* both(({ messages }) =>
      atOnce(operation.keys.map((name, index) => {
        const lane = laneOf(operation.lanes[index] ?? 0)
        const turn = turnIn(world, lane)?.turn ?? TurnId.make("turn_none")
        return messages.complete(turn, me, [post(`key-${name}`, lane), post(`key-${name}#1`, lane)], now, { sender })
      }))
    )
    yield* both(({ outbox }) =>
      atOnce(
        operation.keys.map((name, index) =>
          outbox.enqueue([post(`host-${name}`, laneOf(operation.lanes[index] ?? 0))], null, now, sender)
        )
      )
    )
    const under = operation.keys.map((place) => rowIn(world, place, ["sending", "unknown"]))
    return yield* both(({ outbox }) =>
      atOnce(under.map((id, n) => outbox.delivered(id, me, at(`${now}.${n}`), now + n)))
    )
  }
)

const selected = (world: World, { all, row, states }: Extract<Operation, { readonly all: boolean }>): Selection => ({
  ...(states === "" ? {} : { states: [states] }),
  ...(all ? {} : { ids: [rowIn(world, row, ["failed_terminal", "expired", "unknown", "queued"])] })
})

/** What is asked most, compared. */
export const look = (world: World) =>
  world.both(({ outbox }) =>
    Effect.all([
      outbox.counts,
      outbox.held,
      outbox.nextDueAt(world.now, ["D1"], [1]),
      outbox.nextDueAt(world.now, [], []),
      outbox.claimUnknown(world.now, 2)
    ])
  )

export const lookAtAll = (world: World) =>
  world.both(({ messages, outbox }) =>
    Effect.all([
      outbox.list({}, { limit: 99 }),
      outbox.list({ states: ["failed_terminal", "expired"] }, { after: 2, limit: 2 }),
      outbox.list({ lane: key("D0"), error: "Cancelled" }, { limit: 9 }),
      outbox.keysAt("key-1"),
      messages.history(key("D0"), 5)
    ])
  )

/** Does it; answers what the stores said. */
export const perform = (world: World, operation: Operation): Effect.Effect<unknown> => {
  const { both, now } = world
  const me = owner(world.owner)
  switch (operation._tag) {
    case "enqueue": {
      const run = operation.ofTurn ? turnIn(world, laneOf(operation.lane)) ?? null : null
      const replies = repliesOf(world, operation)
      return both(({ outbox }) => outbox.enqueue(replies, run, now, operation.sender ? me : undefined))
    }
    case "turn": {
      const lane = key(laneOf(operation.lane))
      const message = arrival(inbound({ conversation: lane }), { receivedAt: now, dueAt: now })
      return both(({ messages }) => Effect.andThen(messages.append(message), messages.claim(lane, me, now)))
    }
    case "complete": {
      const lane = laneOf(operation.lane)
      const run = turnIn(world, lane)
      if (run === undefined) return Effect.void
      const left = { sender: operation.sender ? me : undefined }
      return both(({ messages }) => messages.complete(run.turn, me, [post(`key-${operation.key}`, lane)], now, left))
    }
    case "together":
      return allAtOnce(world, operation)
    case "send":
      return both(({ outbox }) =>
        outbox.claim({
          owner: me,
          now,
          limit: operation.limit,
          exclude: operation.exclude === "" ? [] : [operation.exclude],
          excludeKinds: operation.exclude === "" ? [] : ["Update"],
          admit: (channel, kind) => channel !== operation.refuse || kind === "React",
          expireBefore: operation.olderThan === 0 ? 0 : now - operation.olderThan
        })
      )
    case "expire":
      return both(({ outbox }) => outbox.expire(now - operation.age, failure("too old", "Credentials"), now))
    case "refused":
      return both(({ outbox }) => outbox.refused(failure("token_revoked", "Credentials"), now))
    case "import": {
      const groups = Array.from(
        { length: operation.count },
        (_, index) => legacyOf(operation, operation.first + index, now)
      )
      return both(({ outbox }) => outbox.import(groups, now))
    }
    case "retry":
    case "discard": {
      const which = selected(world, operation)
      return both(({ outbox }) => outbox[operation._tag](which, now))
    }
    case "prune":
      return both(({ outbox }) =>
        outbox.prune({ finishedBefore: endedBefore(now - operation.age), keysBefore: now - operation.age, most: 3 })
      )
    case "crash":
    case "restart":
      return Effect.gen(function*() {
        if (operation._tag === "restart") {
          yield* both(({ messages, outbox }) =>
            Effect.all([messages.releaseAll(me, world.now), outbox.releaseAll(me, world.now)])
          )
        }
        yield* world.setTime(world.now + 1)
        world.owner += 1
        return yield* both(({ restart }) => operation._tag === "restart" ? restart.restart : restart.crash)
      })
    case "wait":
      return world.setTime(now + operation.ms)
    default:
      return sent(world, operation)
  }
}

const leaves: Readonly<Record<OfRow["_tag"], ReadonlyArray<ReplyState>>> = {
  delivered: ["sending", "unknown"],
  notSent: ["sending"],
  unknown: ["sending"],
  looked: ["unknown"],
  absent: ["unknown"],
  failed: ["sending", "unknown"]
}

/** How a send or a look ended, said by its sender or by a former one. */
const sent = (world: World, operation: OfRow): Effect.Effect<unknown> => {
  const { now } = world
  const sender = owner(operation.former ? world.owner - 1 : world.owner)
  const id = rowIn(world, operation.row, leaves[operation._tag])
  return world.both(({ outbox }: Stores) => {
    switch (operation._tag) {
      case "delivered":
        return outbox.delivered(id, sender, at(`${now}.1`), now)
      case "notSent":
        return outbox.notSent(id, sender, failure("refused"), {
          now,
          dueAt: now + operation.dueIn,
          countAttempt: operation.dueIn > 0,
          degrade: operation.degrade
        })
      case "unknown":
        return outbox.unknown(id, sender, failure("reset", "Ambiguous"), {
          now,
          lookAt: now + 100,
          late: operation.late
        })
      case "looked":
        return outbox.looked(id, {
          lookAt: now + 100,
          counts: operation.counts,
          newest: operation.newest === 0 ? null : String(operation.newest),
          held: operation.held
        })
      case "absent":
        return outbox.absent(id, now)
      case "failed":
        return outbox.failed(id, sender, failure("is_archived", "Permanent"), now)
    }
  })
}

/** Everything that waits gets its chance: replies are sent and looked for, until the stores say that nothing is left. */
export const drain = Effect.fnUntraced(function*(world: World) {
  yield* perform(world, { _tag: "restart" })
  // What came from elsewhere and may have arrived carries no key of ours: only a person can settle it.
  const held = rowsOf(world).filter(({ sentAt, state }) => state === "unknown" && sentAt === null)
  yield* world.both(({ outbox }) => outbox.discard({ ids: held.map(({ id }) => id) }, world.now))
  // Past every "not before".
  yield* world.setTime(world.now + 300_000)
  for (let round = 0; round < 100; round++) {
    yield* world.setTime(world.now + 130_000)
    const { now } = world
    const me = owner(world.owner)
    const unknown = yield* Effect.orDie(world.model.outbox.claimUnknown(now, 99))
    for (const { id } of unknown) yield* world.both(({ outbox }) => outbox.absent(id, now))
    const claim = { owner: me, now, limit: 99, exclude: [], admit: () => true, expireBefore: 0 }
    const claimed = yield* world.both(({ outbox }) => outbox.claim(claim))
    if ("refused" in claimed) return
    for (const { id } of claimed.claimed) yield* world.both(({ outbox }) => outbox.delivered(id, me, at("1.1"), now))
    if (unknown.length + claimed.claimed.length + claimed.ended.length === 0) return
  }
})
