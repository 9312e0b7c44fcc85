/** What may happen to the outbox, in small numbers so that things meet: two lanes, a dozen keys, live and former senders. */
import { Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const rarely = Schema.Literals([false, false, false, true])

/** Which row, by place among those it can be done to (0: among all); said by its sender or by a former one. */
const ofRow = { row: upTo(4), former: rarely }

const chosen = {
  row: upTo(5),
  states: Schema.Literals(["", "", "failed_terminal", "expired", "unknown", "queued"]),
  all: Schema.Literals([false, false, true])
}

const schemas = {
  enqueue: Schema.TaggedStruct("enqueue", {
    key: upTo(14),
    lane: upTo(1),
    kind: Schema.Literals(["Post", "Post", "Post", "Update", "Update", "Delete", "React", "Ephemeral"]),
    target: upTo(5),
    parts: Schema.Literals([1, 1, 2, 3]),
    interim: rarely,
    ofTurn: Schema.Boolean,
    notBefore: Schema.Literals([0, 0, 0, 500, 200_000]),
    sender: Schema.Boolean
  }),
  turn: Schema.TaggedStruct("turn", { lane: upTo(1) }),
  complete: Schema.TaggedStruct("complete", { lane: upTo(1), key: upTo(14), sender: Schema.Boolean }),
  /** Several at once: the completions of both lanes, posts of the host, and deliveries. */
  together: Schema.TaggedStruct("together", {
    keys: Schema.Array(upTo(14)).check(Schema.isMaxLength(4)),
    lanes: Schema.Array(upTo(1)).check(Schema.isMaxLength(4)),
    byFormer: rarely,
    sender: Schema.Boolean
  }),
  send: Schema.TaggedStruct("send", {
    limit: Schema.Literals([1, 2, 9, 9]),
    exclude: Schema.Literals(["", "", "D0"]),
    refuse: Schema.Literals(["", "", "", "D1"]),
    olderThan: Schema.Literals([0, 0, 0, 0, 1_000])
  }),
  delivered: Schema.TaggedStruct("delivered", ofRow),
  notSent: Schema.TaggedStruct("notSent", { ...ofRow, dueIn: Schema.Literals([0, 500]), degrade: rarely }),
  unknown: Schema.TaggedStruct("unknown", { ...ofRow, late: Schema.Boolean }),
  looked: Schema.TaggedStruct("looked", { ...ofRow, counts: Schema.Boolean, held: Schema.Boolean, newest: upTo(2) }),
  absent: Schema.TaggedStruct("absent", ofRow),
  failed: Schema.TaggedStruct("failed", ofRow),
  expire: Schema.TaggedStruct("expire", { age: Schema.Literals([500, 1_000]) }),
  refused: Schema.TaggedStruct("refused", {}),
  import: Schema.TaggedStruct("import", {
    first: upTo(5),
    count: Schema.Literals([1, 2, 3]),
    lane: upTo(1),
    state: Schema.Literals(["queued", "queued", "delivered", "unknown", "failed_terminal", "expired", "interim"]),
    age: Schema.Literals([0, 700, 100_000])
  }),
  retry: Schema.TaggedStruct("retry", chosen),
  discard: Schema.TaggedStruct("discard", chosen),
  prune: Schema.TaggedStruct("prune", { age: Schema.Literals([500, 100_000]) }),
  crash: Schema.TaggedStruct("crash", {}),
  restart: Schema.TaggedStruct("restart", {}),
  wait: Schema.TaggedStruct("wait", { ms: Schema.Literals([1, 1, 500, 1_000, 120_000]) })
}

type Schemas = typeof schemas
export type Operation = { readonly [Tag in keyof Schemas]: Schemas[Tag]["Type"] }[keyof Schemas]

/** How often each happens, so that most of what is tried can happen at all. */
const weights: Readonly<Partial<Record<keyof Schemas, number>>> = {
  enqueue: 8,
  turn: 3,
  together: 3,
  import: 2,
  send: 8,
  delivered: 3,
  notSent: 2,
  unknown: 3,
  absent: 2,
  failed: 2,
  retry: 2,
  wait: 3
}

const choices = Object.entries(schemas).flatMap(([tag, schema]) =>
  Array.from<Schema.Schema<Operation>>({ length: weights[tag as keyof Schemas] ?? 1 }).fill(schema)
)

export const histories = Arbitrary.array(Arbitrary.schema(Schema.Union(choices)), { maxLength: 36 })
