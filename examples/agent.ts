/** A model that is asked again and again, with tools in between. Each call is a step, so a crash repeats one at most. */
import { Effect, Option, Schema } from "effect"
import { Handler } from "slackwater"

/** What the model says: use this tool, or this is the answer. A schema, since a restart reads it back. */
const Said = Schema.Union([
  Schema.TaggedStruct("Use", { tool: Schema.Literals(["price", "order"]), input: Schema.String }),
  Schema.TaggedStruct("Answer", { text: Schema.String })
])

/** Stands for a model, which knows nothing but what it is given: it asks for the price, orders, and answers. */
const askModel = Effect.fn("askModel")(function*(transcript: ReadonlyArray<string>) {
  yield* Effect.logInfo("the model is asked")
  yield* Effect.sleep("400 millis")
  const question = transcript.findLast((line) => line.startsWith("user: "))?.slice(6) ?? ""
  const results = transcript.filter((line) => line.startsWith("tool: ")).map((line) => line.slice(6))
  const says: typeof Said.Type = results.length < 2
    ? { _tag: "Use", tool: results.length === 0 ? "price" : "order", input: question }
    : { _tag: "Answer", text: `${results.join("; ")}.` }
  return says
})

/** Stand for tools. One that changes something gets a key, by which the shop knows an order that it has already. */
const tools = {
  price: (item: string) => Effect.succeed(`${item}: 3 euros`),
  order: (item: string, key: string) => Effect.as(Effect.logInfo("the shop is asked", key), `${item} is ordered`)
}

const Lines = Schema.Array(Schema.String)

export default Handler.make((turn) =>
  Effect.gen(function*() {
    const orders = turn.stateAs(Lines)
    const before = Option.getOrElse(yield* orders.get, () => [])
    // Read once: what is said meanwhile must not change what the model is asked in a re-run.
    const history = Effect.map(
      turn.history({ limit: 20 }),
      (lines) => lines.map((line) => line._tag === "Reply" ? `bot: ${line.text}` : `user: ${line.message.text}`)
    )
    const transcript = [...yield* turn.step("history", history, Lines), `user: ${turn.text}`]
    for (let n = 1; n <= 10; n++) {
      const said = yield* turn.step(`model ${n}`, askModel(transcript), Said)
      if (said._tag === "Answer") return `${said.text} Orders so far: ${before.length + 1}`
      yield* turn.status(`is asking for the ${said.tool} …`)
      const use = tools[said.tool](said.input, `${turn.id}/${n}`)
      transcript.push(`tool: ${yield* turn.step(`tool ${n}`, use, Schema.String)}`)
      if (said.tool === "order") yield* orders.set([...before, said.input])
    }
    return "I have asked ten times and do not know."
  })
)
