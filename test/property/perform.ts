/** One operation on both stores. What it names by number is looked up in the model, so that it means something. */
import { Effect } from "effect"
import { type Cutoff, endedBefore, later } from "../../src/Cutoff.ts"
import { messageStates } from "../../src/InboxByHand.ts"
import { OwnerId, TurnId } from "../../src/Message.ts"
import type { NewReply } from "../../src/OutboxStore.ts"
import { arrival, at, failure, inbound, key, post, tsAt } from "../fixtures/messages.ts"
import type { Operation } from "./operations.ts"
import type { Stores, World } from "./world.ts"

const conversations = ["D0", "D1", "C2/1.0"]
const conversationOf = (n: number) => key(conversations[n % conversations.length] ?? "")
const owner = (n: number) => OwnerId.make(`owner-${n}`)
const nth = <A>(list: ReadonlyArray<A>, n: number): A | undefined => list[n % Math.max(1, list.length)]

const answer = (reply: number, lane: string): NewReply => post(`reply-${reply}`, lane)

type Append = Extract<Operation, { readonly _tag: "append" }>
type OfTurn = Extract<Operation, { readonly _tag: "supersede" }>

const newMessage = (world: World, given: Append) =>
  arrival({
    ...inbound({ conversation: conversationOf(given.conversation) }),
    text: `event-${given.event}`,
    ts: tsAt(given.ts),
    ...(given.event % 2 === 0 ? {} : { threadTs: "1.0" })
  }, {
    keys: [`event:${given.event}`, `message:${given.message}`],
    receivedAt: world.now,
    dueAt: world.now + given.dueIn,
    cap: given.cap,
    ...(given.ignored === "" ? {} : { ignored: given.ignored }),
    ...(given.begins ? { claim: owner(world.owner) } : {})
  })

/** The turn that is meant, and as whom it is written to. */
const target = (world: World, { any, caller, turn }: Pick<OfTurn, "any" | "caller" | "turn">) => {
  const all = [...world.data.turns.values()]
  const running = all.filter(({ state }) => state === "running")
  const found = nth(any === 0 || running.length === 0 ? all : running, turn)
  return {
    turn: found?.id ?? TurnId.make("turn_none"),
    conversation: found?.conversation ?? conversationOf(0),
    owner: owner(caller === "former owner" ? world.owner - 1 : world.owner),
    attempt: (found?.attempt ?? 1) - (caller === "former run" ? 1 : 0)
  }
}

/** The reply that is meant, most likely one that is under way. */
const replyIn = (world: World, reply: number, states: ReadonlyArray<string>): number => {
  const all = [...world.data.replies.values()]
  const fitting = all.filter(({ state }) => states.includes(state))
  return (nth(reply === 0 || fitting.length === 0 ? all : fitting, reply))?.id ?? 4_711
}

/** The message that is meant. */
const messageIn = (world: World, place: number, states: ReadonlyArray<string>): number => {
  const fitting = [...world.data.messages.values()].filter(({ state }) => states.includes(state))
  return nth(fitting, place)?.id ?? 4_711
}

const look = ({ now }: World) => ({ messages, outbox }: Stores) =>
  Effect.all([
    messages.counts,
    // Those that have waited equally long come in any order.
    Effect.map(
      messages.ready(now, 9),
      (ready) => ready.map(({ conversation, recovered }) => `${conversation} ${recovered}`).toSorted()
    ),
    messages.nextDueAt,
    outbox.counts,
    outbox.nextDueAt(now, ["D1"], [1])
  ])

/** What is asked most, compared. */
export const lookBriefly = (world: World) => world.both(look(world))

/** What all of the reads say, compared. */
export const lookAtAll = Effect.fnUntraced(function*(world: World) {
  const { data, now } = world
  yield* lookBriefly(world)
  for (const name of conversations.map(key)) {
    yield* world.both(({ messages }) =>
      Effect.all([
        messages.participates(name),
        messages.waiting(name, now),
        messages.history(name, 3),
        messages.state(name)
      ])
    )
  }
  yield* world.both(({ messages }) => Effect.forEach([...data.turns.keys()], (turn) => messages.steps(turn)))
  yield* world.both(({ messages }) =>
    Effect.all([
      messages.list({}, { limit: 5 }),
      messages.list({ states: ["failed", "queued"] }, { after: 2, limit: 5 }),
      messages.list({ states: ["processing", "ignored", "done"], channel: "D1" }, { before: 9, limit: 2 })
    ])
  )
  yield* world.both(({ outbox }) => outbox.claimUnknown(now, 2))
})

/** Does it; answers what the stores said. */
export const perform = (world: World, operation: Operation): Effect.Effect<unknown> => {
  const { both, data, now } = world
  const me = owner(world.owner)
  switch (operation._tag) {
    case "append": {
      const message = newMessage(world, operation)
      return both(({ messages }) => messages.append(message))
    }
    case "together": {
      // They share one commit, beside a write that may be refused.
      const appended = operation.appends.map((given) => newMessage(world, given))
      const { owner, turn } = target(world, operation)
      return both(({ messages }) =>
        Effect.all([
          // First, as in a commit they share: there ends come before what is received.
          Effect.result(messages.complete(turn, owner, [], now)),
          ...appended.map((message) => Effect.result(messages.append(message)))
        ], { concurrency: "unbounded" }).pipe(
          Effect.map((results) => results.map((result) => result._tag === "Success" ? result.success : "refused"))
        )
      )
    }
    case "claim":
      return both(({ messages }) => messages.claim(conversationOf(operation.conversation), me, now, operation.most))
    case "claimTogether":
      return both(({ messages }) =>
        Effect.forEach(
          conversations,
          (name) => messages.claim(key(name), me, now, operation.most === 9 ? undefined : operation.most),
          { concurrency: "unbounded" }
        )
      )
    case "complete": {
      const { conversation, owner, turn } = target(world, operation)
      const replies = operation.replies.map((reply) => answer(reply, conversation))
      if (operation.unstorable) {
        replies.push(post("unstorable", conversation, { destination: { channel: null as unknown as string } }))
      }
      const state = operation.state === "" ? undefined : operation.state
      const members = [...data.messages.values()].filter((row) => row.turn === turn).map(({ id }) => id)
      const unseen = members.slice(members.length - operation.unseen)
      return both(({ messages }) => messages.complete(turn, owner, replies, now, { state, unseen }))
    }
    case "retryLater": {
      const { owner, turn } = target(world, operation)
      return both(({ messages }) => messages.retryLater(turn, owner, "boom", now + operation.dueIn))
    }
    case "fail": {
      const { conversation, owner, turn } = target(world, operation)
      const replies = operation.replies.map((reply) => answer(reply, conversation))
      return both(({ messages }) => messages.fail(turn, owner, "boom", replies, now))
    }
    case "retryByHand": {
      const { all, any, messages: places } = operation
      if (all) return both(({ messages }) => messages.retry({ states: ["failed"] }, now))
      const ids = places.map((place) => messageIn(world, place, any ? messageStates : ["failed", "ignored"]))
      return both(({ messages }) => messages.retry({ ids }, now))
    }
    case "discardByHand": {
      const { any, messages: places } = operation
      const ids = places.map((place) => messageIn(world, place, any ? messageStates : ["failed", "queued"]))
      return both(({ messages }) => messages.discard({ ids }, now))
    }
    case "supersede": {
      const { owner, turn } = target(world, operation)
      return both(({ messages }) => messages.supersede(turn, owner, now))
    }
    case "saveStep": {
      const run = target(world, operation)
      return both(({ messages }) => messages.saveStep(run, `step-${operation.name}`, String(operation.result), now))
    }
    case "saveStatus": {
      const run = target(world, operation)
      return both(({ messages }) => messages.saveStatus(run, `status-${operation.status}`))
    }
    case "adopt": {
      const run = target(world, operation)
      const waiting = [...data.messages.values()].filter(({ state, turn }) => state === "queued" && turn === null)
      const message = nth(operation.message === 0 ? [...data.messages.values()] : waiting, operation.message)
      return both(({ messages }) => messages.adopt(run, message?.id ?? 4_711))
    }
    case "releaseAll": {
      const holder = operation.former === 0 ? owner(world.owner - 1) : me
      return both(({ messages, outbox }) =>
        Effect.all([messages.releaseAll(holder, now), outbox.releaseAll(holder, now)])
      )
    }
    case "makeDue":
      return both(({ messages }) => messages.makeDue([conversationOf(operation.conversation)], now))
    case "nearer":
      return both(({ messages }) => messages.nearer(now, operation))
    case "recover":
      return both(({ messages }) => messages.recover([me], now, operation.limit))
    case "enqueue": {
      const run = operation.host === 0 ? null : target(world, operation)
      const replies = operation.replies.map(({ lane, reply }) => answer(reply, conversationOf(lane)))
      return both(({ outbox }) => outbox.enqueue(replies, run, now))
    }
    case "send":
      return both(({ outbox }) =>
        outbox.claim({
          owner: me,
          now,
          limit: operation.limit,
          exclude: operation.exclude < 3 ? [conversations[operation.exclude] ?? ""] : [],
          admit: (channel) => channel !== "C2" || operation.exclude !== 5,
          expireBefore: operation.olderThan === 0 ? 0 : now - operation.olderThan
        })
      )
    case "prune":
      return both(({ messages, outbox }) => {
        const { age, keep, keyAge, most } = operation
        const keysBefore = now - keyAge
        const aged = endedBefore(now - age)
        const beyond = (cutoff: Cutoff | null) => cutoff === null ? aged : later(aged, cutoff)
        return Effect.gen(function*() {
          const cutoffs = [yield* messages.cutoffKeeping(keep), yield* outbox.cutoffKeeping(keep)] as const
          const pruned = [
            yield* messages.prune({ finishedBefore: beyond(cutoffs[0]), keysBefore, most }),
            yield* outbox.prune({ finishedBefore: beyond(cutoffs[1]), keysBefore, most })
          ]
          return { cutoffs, pruned }
        })
      })
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

type OfReply = Extract<Operation, { readonly reply: number }>

/** How a send ended, said by its sender or by a former one. */
const sent = (world: World, operation: OfReply): Effect.Effect<unknown> => {
  const { both, now } = world
  const sender = owner(operation.former === 0 ? world.owner - 1 : world.owner)
  const id = replyIn(
    world,
    operation.reply,
    {
      delivered: ["sending", "unknown"],
      notSent: ["sending"],
      unknown: ["sending"],
      looked: ["unknown"],
      absent: ["unknown"],
      failed: ["sending", "unknown"]
    }[operation._tag]
  )
  return both(({ outbox }) => {
    switch (operation._tag) {
      case "delivered":
        return outbox.delivered(id, sender, at(`${now}.1`), now)
      case "notSent":
        return outbox.notSent(id, sender, failure("refused"), {
          now,
          dueAt: now + operation.dueIn,
          countAttempt: operation.countAttempt
        })
      case "unknown":
        return outbox.unknown(id, sender, failure("reset"), { now: now, lookAt: now + 100, late: false })
      case "looked":
        return outbox.looked(id, { lookAt: now + 100, counts: operation.completed, newest: null, held: false })
      case "absent":
        return outbox.absent(id, now)
      case "failed":
        return outbox.failed(id, sender, failure("is_archived"), now)
    }
  })
}

/** Everything that waits gets its chance: turns are run, replies sent, until the stores say that nothing is left. */
export const drain = Effect.fnUntraced(function*(world: World) {
  yield* perform(world, { _tag: "restart" })
  const me = owner(world.owner)
  yield* perform(world, { _tag: "recover", limit: 9 })
  for (let round = 0; round < 100; round++) {
    yield* world.setTime(world.now + 130_000)
    const { now } = world
    const ready = yield* Effect.orDie(world.model.messages.ready(now, 9))
    for (const { conversation } of ready) {
      yield* world.both(({ messages }) =>
        Effect.flatMap(
          messages.claim(conversation, me, now),
          (claimed) =>
            claimed._tag === "None"
              ? Effect.succeed<unknown>("nothing")
              : messages.complete(claimed.value.id, me, [], now)
        )
      )
    }
    const unknown = yield* Effect.orDie(world.model.outbox.claimUnknown(now, 99))
    for (const { id } of unknown) yield* world.both(({ outbox }) => outbox.absent(id, now))
    const claim = { owner: me, now, limit: 99, exclude: [], admit: () => true, expireBefore: 0 }
    const { claimed } = yield* Effect.orDie(world.model.outbox.claim(claim))
    yield* Effect.orDie(world.real.outbox.claim(claim))
    for (const { id } of claimed) yield* world.both(({ outbox }) => outbox.delivered(id, me, at("1.1"), now))
    if (ready.length + unknown.length + claimed.length === 0) return
  }
})
