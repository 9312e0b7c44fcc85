/** What may happen to the stores, in small numbers so that things meet: three conversations, few events, few turns. */
import { Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Which turn, by place among those that run or among all; and whether the caller is its present run. */
const ofTurn = {
  turn: upTo(3),
  any: upTo(4),
  caller: Schema.Literals(["owner", "owner", "owner", "owner", "former owner", "former run"])
}
const ofReply = { reply: upTo(5), former: upTo(4) }
/** Which messages a person means: likely those that it makes sense for. */
const byHand = {
  messages: Schema.Array(upTo(9)).check(Schema.isMaxLength(2)),
  any: Schema.Literals([false, false, true])
}
const replies = Schema.Array(upTo(9)).check(Schema.isMaxLength(2))
const post = { lane: upTo(2), reply: upTo(9) }

const Append = Schema.TaggedStruct("append", {
  conversation: upTo(2),
  event: upTo(15),
  message: upTo(9),
  ts: upTo(5),
  ignored: Schema.Literals(["", "", "", "not addressed", "discarded"]),
  dueIn: Schema.Literals([0, 0, 0, 500]),
  cap: Schema.Literals([9, 9, 9, 1, 2]),
  begins: Schema.Literals([false, false, true])
})

const schemas = {
  append: Append,
  together: Schema.TaggedStruct("together", { appends: Schema.Array(Append).check(Schema.isMaxLength(4)), ...ofTurn }),
  claim: Schema.TaggedStruct("claim", { conversation: upTo(2), most: Schema.Literals([9, 9, 9, 1, 2]) }),
  claimTogether: Schema.TaggedStruct("claimTogether", { most: Schema.Literals([9, 9, 1]) }),
  complete: Schema.TaggedStruct("complete", {
    ...ofTurn,
    replies,
    state: Schema.Literals(["", "", "1", "2"]),
    unseen: Schema.Literals([0, 0, 0, 1]),
    unstorable: Schema.Literals([false, false, false, false, true])
  }),
  retryLater: Schema.TaggedStruct("retryLater", { ...ofTurn, dueIn: Schema.Literals([0, 500]) }),
  fail: Schema.TaggedStruct("fail", { ...ofTurn, replies }),
  retryByHand: Schema.TaggedStruct("retryByHand", { ...byHand, all: Schema.Literals([false, false, false, true]) }),
  discardByHand: Schema.TaggedStruct("discardByHand", byHand),
  supersede: Schema.TaggedStruct("supersede", ofTurn),
  saveStatus: Schema.TaggedStruct("saveStatus", { ...ofTurn, status: upTo(2) }),
  saveStep: Schema.TaggedStruct("saveStep", { ...ofTurn, name: upTo(2), result: upTo(9) }),
  adopt: Schema.TaggedStruct("adopt", { ...ofTurn, message: upTo(3) }),
  releaseAll: Schema.TaggedStruct("releaseAll", { former: upTo(2) }),
  makeDue: Schema.TaggedStruct("makeDue", { conversation: upTo(2) }),
  nearer: Schema.TaggedStruct("nearer", { messages: Schema.Literals([0, 100]), turns: Schema.Literals([0, 100]) }),
  enqueue: Schema.TaggedStruct("enqueue", {
    ...ofTurn,
    host: upTo(2),
    replies: Schema.Array(Schema.Struct(post)).check(Schema.isMaxLength(3))
  }),
  send: Schema.TaggedStruct("send", { limit: upTo(3), exclude: upTo(5), olderThan: Schema.Literals([0, 0, 0, 1_000]) }),
  delivered: Schema.TaggedStruct("delivered", ofReply),
  notSent: Schema.TaggedStruct("notSent", {
    ...ofReply,
    dueIn: Schema.Literals([0, 500]),
    countAttempt: Schema.Boolean
  }),
  unknown: Schema.TaggedStruct("unknown", ofReply),
  looked: Schema.TaggedStruct("looked", { ...ofReply, completed: Schema.Boolean }),
  absent: Schema.TaggedStruct("absent", ofReply),
  failed: Schema.TaggedStruct("failed", ofReply),
  prune: Schema.TaggedStruct("prune", {
    age: Schema.Literals([0, 1_000, 1_000_000]),
    keep: Schema.Literals([1, 3, 99]),
    keyAge: Schema.Literals([500, 200_000]),
    most: Schema.Literals([1, 2, 9])
  }),
  recover: Schema.TaggedStruct("recover", { limit: Schema.Literals([1, 2, 9]) }),
  crash: Schema.TaggedStruct("crash", {}),
  restart: Schema.TaggedStruct("restart", {}),
  wait: Schema.TaggedStruct("wait", { ms: Schema.Literals([1, 1, 500, 1_000, 120_000, 600_000]) })
}

/**
 * What takes several of them in a row to happen at all: a crash again and again while the same turns run, with some of
 * what it leaves recovered each time.
 */
const CrashLoop = Schema.TaggedStruct("crashLoop", {
  times: Schema.Literals([2, 3, 4]),
  limit: Schema.Literals([1, 9, 9])
})

/** Dead letters, and what a person does with them while life goes on: the first turn that runs fails, and so on. */
const DeadLetters = Schema.TaggedStruct("deadLetters", {
  appends: Schema.Array(Append).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  times: Schema.Literals([1, 1, 2]),
  discarded: Schema.Array(upTo(3)).check(Schema.isMaxLength(1)),
  meanwhile: Schema.Array(Append).check(Schema.isMaxLength(1)),
  all: Schema.Boolean
})

type Schemas = typeof schemas
export type Operation = { readonly [Tag in keyof Schemas]: Schemas[Tag]["Type"] }[keyof Schemas]

/** How often each happens, so that most of what is tried can happen at all. */
const weights: Readonly<Partial<Record<keyof Schemas, number>>> = {
  append: 8,
  together: 2,
  claim: 6,
  claimTogether: 2,
  complete: 4,
  saveStep: 2,
  fail: 2,
  retryByHand: 4,
  discardByHand: 2,
  adopt: 3,
  enqueue: 3,
  send: 5,
  delivered: 2,
  unknown: 2,
  recover: 3,
  crash: 2,
  wait: 3
}

const choices = Object.entries(schemas).flatMap(([tag, schema]) =>
  Array.from<Schema.Schema<Operation>>({ length: weights[tag as keyof Schemas] ?? 1 }).fill(schema)
)

const claims = [0, 1, 2].map((conversation) => ({ _tag: "claim", conversation, most: 9 }) as const)

const failing = (choice: typeof DeadLetters.Type): ReadonlyArray<Operation> => {
  const { all, appends, discarded, meanwhile, times } = choice
  const running = { turn: 0, any: 1, caller: "owner" } as const
  return Array.from({ length: times }, (): ReadonlyArray<Operation> => [
    ...appends,
    { _tag: "wait", ms: 500 },
    ...claims,
    { _tag: "fail", ...running, replies: [] },
    { _tag: "discardByHand", messages: discarded, any: false },
    { _tag: "retryByHand", messages: [0], any: false, all },
    ...meanwhile,
    { _tag: "wait", ms: 1 },
    ...claims
  ]).flat()
}

type Choice = Operation | typeof CrashLoop.Type | typeof DeadLetters.Type

const expand = (choice: Choice): ReadonlyArray<Operation> => {
  if (choice._tag === "deadLetters") return failing(choice)
  if (choice._tag !== "crashLoop") return [choice]
  const round: ReadonlyArray<Operation> = [
    { _tag: "wait", ms: 1_000 },
    ...claims,
    { _tag: "crash" },
    { _tag: "recover", limit: choice.limit }
  ]
  return Array.from({ length: choice.times }, () => round).flat()
}

/** About forty of them; a failing history shrinks to the few that matter. */
export const histories = Arbitrary.array(
  Arbitrary.schema(Schema.Union([...choices, CrashLoop, DeadLetters])),
  { maxLength: 34 }
)
  .pipe(Arbitrary.map((chosen) => chosen.flatMap(expand)))
