/** An agent on `effect/ai`: it asks a model again and again, with tools in between. Each call is a step, so a crash repeats one at most. */
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { LanguageModel, type Prompt, Tool, Toolkit } from "effect/ai"
import { Handler, type HistoryEntry } from "slackwater"

const about = { parameters: Schema.Struct({ item: Schema.String }), success: Schema.String }
const toolkit = Toolkit.make(Tool.make("price", about), Tool.make("order", about))

/** What the tools do. One that changes something gets a key, by which the shop knows an order that it has already. */
const tools = {
  price: (item: string) => Effect.succeed(`${item}: 3 euros`),
  order: (item: string, key: string) => Effect.as(Effect.logInfo("the shop is asked", key), `${item} is ordered`)
}

/** Stands for a model, which knows nothing but its prompt: it asks for the price, orders, and answers. */
const generateText = Effect.fnUntraced(function*({ prompt }: LanguageModel.ProviderOptions) {
  yield* Effect.logInfo("the model is asked")
  yield* Effect.sleep("400 millis")
  const [question] = prompt.content.flatMap((said) => said.role === "user" ? said.content : []).slice(-1)
  const known = prompt.content.flatMap((said) => said.role === "tool" ? said.content : [])
  const results = known.flatMap((part) => part.type === "tool-result" ? [String(part.result)] : [])
  if (results.length === 2) return [{ type: "text" as const, text: `${results.join("; ")}.` }]
  const params = { item: question?.type === "text" ? question.text : "" }
  const name = results.length === 0 ? "price" : "order"
  return [{ type: "tool-call" as const, id: `call ${results.length}`, name, params }]
})
const scripted = LanguageModel.make({ generateText, streamText: () => Stream.empty })
const model = Layer.effect(LanguageModel.LanguageModel, scripted)

/** What is kept of what was said. Schemas, since a restart reads it back. */
const Call = Schema.Struct({ id: Schema.String, name: Schema.Literals(["price", "order"]), params: about.parameters })
const Said = Schema.Struct({ text: Schema.String, toolCalls: Schema.Array(Call) })
const Line = Schema.Struct({ role: Schema.Literals(["user", "assistant"]), content: Schema.String })
const asLine = (line: HistoryEntry): typeof Line.Type =>
  line._tag === "Reply" ? { role: "assistant", content: line.text } : { role: "user", content: line.message.text }

export default Handler.make(Effect.fnUntraced(function*(turn) {
  const orders = turn.stateAs(Schema.Array(Schema.String))
  const before = Option.getOrElse(yield* orders.get, () => [])
  // Read once: what is said meanwhile must not change what the model is asked in a re-run.
  const history = Effect.map(turn.history({ limit: 20 }), (lines) => lines.map(asLine))
  const prompt: Array<Prompt.MessageEncoded> = [...yield* turn.step("history", history, Schema.Array(Line))]
  prompt.push({ role: "user", content: turn.text })
  for (let n = 1; n <= 10; n++) {
    const ask = LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true })
    const said = yield* turn.step(`model ${n}`, ask, Said)
    if (said.toolCalls.length === 0) return `${said.text} Orders so far: ${before.length + 1}`
    for (const { id, name, params } of said.toolCalls) {
      yield* turn.status(`is asking for the ${name} …`)
      const result = yield* turn.step(`tool ${n} ${id}`, tools[name](params.item, `${turn.id}/${n}`))
      prompt.push({ role: "assistant", content: [{ type: "tool-call", id, name, params, providerExecuted: false }] })
      prompt.push({ role: "tool", content: [{ type: "tool-result", id, name, result, isFailure: false }] })
      if (name === "order") yield* orders.set([...before, params.item])
    }
  }
  return "I have asked ten times and do not know."
}, Effect.provide(model)))
