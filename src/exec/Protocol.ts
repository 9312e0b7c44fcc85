/**
 * The words between the gateway and a handler in another language: one JSON object a line, in both directions.
 *
 * Owns the schemas of what a child may say, and how a line that is none of it is refused: with its number, its
 * beginning, and what is wrong with it. `docs/exec.md` is the same for people.
 * Does not: run anything (Dialogue does), or cut output into lines (Lines does).
 */
import { Effect, Schema } from "effect"
import { Reply } from "../Message.ts"

/** A run of an `--exec` handler that went wrong, in one sentence. */
export class ExecFailed extends Schema.TaggedError<ExecFailed>()("ExecFailed", {
  detail: Schema.String,
  /** The child said so itself, in the words of the protocol: its process is as good as before. */
  saidSo: Schema.Boolean
}) {
  override get message(): string {
    return this.detail
  }
}
export const broken = (detail: string) => new ExecFailed({ detail, saidSo: false })

/** By what a request is answered, and a reply is named later; the child's own choice. */
export const RequestId = Schema.Union([Schema.String, Schema.Finite])
export type RequestId = typeof RequestId.Type

const text = Schema.optionalKey(Schema.String)
const common = {
  /** With it the gateway answers with a `result`; without it what fails fails the run. */
  request: Schema.optionalKey(RequestId),
  /** The turn's id, where the child likes to be sure that it speaks of the present one. */
  turn: text
}
const words = <F extends Schema.Struct.Fields>(fields: F) => Schema.Struct({ ...fields, ...common })

const Answer = Schema.Union([Schema.String, Reply, Schema.Array(Schema.Union([Schema.String, Reply]))])
const SlackMessage = Schema.Struct({ channel: Schema.String, ts: Schema.String })

/** What a child may say, by `type`. */
const sayings = {
  reply: words({ type: Schema.Literal("reply"), ...Reply.fields }),
  update: words({ type: Schema.Literal("update"), reply: RequestId, ...Reply.fields }),
  delete: words({ type: Schema.Literal("delete"), reply: RequestId }),
  react: words({
    type: Schema.Literal("react"),
    name: Schema.String,
    /** To a reply of this run, or to any message; without both to the turn's last one. */
    reply: Schema.optionalKey(RequestId),
    message: Schema.optionalKey(SlackMessage),
    remove: Schema.optionalKey(Schema.Boolean)
  }),
  /** Answers a command or a button at its `response_url`. */
  respond: words({
    type: Schema.Literal("respond"),
    text,
    blocks: Reply.fields.blocks,
    markdown: text,
    key: text,
    responseType: Schema.optionalKey(Schema.Literals(["in_channel", "ephemeral"])),
    replaceOriginal: Schema.optionalKey(Schema.Boolean),
    deleteOriginal: Schema.optionalKey(Schema.Boolean)
  }),
  /** A file: its text, its bytes in base64, or where it lies. */
  upload: words({
    type: Schema.Literal("upload"),
    filename: Schema.String,
    text,
    base64: text,
    path: text,
    title: text,
    comment: text,
    key: text
  }),
  status: words({ type: Schema.Literal("status"), text: Schema.String }),
  /** Without `result`: asks for the stored one. With it: that is the one to store. */
  step: words({ type: Schema.Literal("step"), name: Schema.String, result: Schema.optionalKey(Schema.Unknown) }),
  state: words({ type: Schema.Literal("state"), value: Schema.Unknown }),
  history: words({
    type: Schema.Literal("history"),
    limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000 })))
  }),
  /** Asks for the next message that joins the turn (mode `steer`). */
  followup: words({ type: Schema.Literal("followup") }),
  /** The end. `reply` is committed with it; `followups` is how many of them the child has taken into account. */
  done: words({
    type: Schema.Literal("done"),
    reply: Schema.optionalKey(Answer),
    followups: Schema.optionalKey(Schema.Int)
  }),
  error: words({ type: Schema.Literal("error"), message: Schema.String })
}
type Sayings = typeof sayings
/** One line of a child. */
export type Saying = { readonly [K in keyof Sayings]: Sayings[K]["Type"] }[keyof Sayings]

/** What the gateway says. */
export type ToChild =
  | { readonly type: "turn" } & Readonly<Record<string, unknown>>
  | { readonly type: "result"; readonly request: RequestId; readonly ok: true; readonly value: unknown }
  | { readonly type: "result"; readonly request: RequestId; readonly ok: false; readonly error: string }
  | { readonly type: "interrupt" }

/** A line of a child, and which one of its process it is. */
export interface Line {
  readonly number: number
  readonly text: string
}

const shown = 120
export const excerpt = (line: string): string =>
  JSON.stringify(line.length <= shown ? line : `${line.slice(0, shown)}…`)

/** What is wrong with this line. */
export const refuse = ({ number, text }: Line, why: string): ExecFailed =>
  broken(`line ${number} of the command's output ${why}: ${excerpt(text)}`)

const readers = Object.fromEntries(
  Object.entries(sayings).map(([type, schema]) => [type, Schema.decodeUnknownEffect(schema as Schema.Codec<Saying>)])
)
const types = Object.keys(sayings).join(", ")

export const read = Effect.fnUntraced(function*(line: Line) {
  const value: unknown = yield* Effect.try({
    try: () => JSON.parse(line.text),
    catch: () => refuse(line, "is not JSON")
  })
  const type: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "type") : undefined
  if (typeof type !== "string") return yield* refuse(line, "is no object with a type")
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined
  if (reader === undefined) return yield* refuse(line, `has a type that is none of ${types}`)
  return yield* Effect.mapError(
    reader(value),
    (error) => refuse(line, `is no ${type} (${error.message.replaceAll(/\s+/g, " ").slice(0, 200)})`)
  )
})
