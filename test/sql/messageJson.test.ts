/** What is read without the schema is what the schema reads. */
import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { InboundMessage } from "../../src/Message.ts"
import { decodeMessage, encodeMessage } from "../../src/sql/messageJson.ts"

const MessageJson = Schema.fromJsonString(InboundMessage)
const bySchema = Schema.decodeUnknownOption(MessageJson)

const names = Object.keys(InboundMessage.fields)
const full: Readonly<Record<string, unknown>> = {
  ...Object.fromEntries(names.map((name) => [name, `a ${name}`])),
  kind: "message",
  direct: true,
  payload: { text: "as it came", unknown: [1, null, { deep: true }] }
}
const without = (name: string) => Object.fromEntries(Object.entries(full).filter(([key]) => key !== name))

const same = (json: string, why: string) => assert.deepStrictEqual(decodeMessage(json), bySchema(json), why)

describe("a message in the database", () => {
  it("is read as the schema reads it, field by field", () => {
    assert.isTrue(Option.isSome(decodeMessage(JSON.stringify(full))))
    for (const name of names) {
      same(JSON.stringify(without(name)), `without ${name}`)
      for (const value of [null, 1, "text", "", true, {}, []]) {
        same(JSON.stringify({ ...full, [name]: value }), `${name} is ${JSON.stringify(value)}`)
      }
    }
  })

  it("is read without the fields of a newer release", () => {
    same(JSON.stringify({ ...full, later: 1 }), "one more")
    same(JSON.stringify({ ...without("bot"), later: "text" }), "one more, one less")
    same(`{"__proto__":{"ts":"1.0"},${JSON.stringify(without("ts")).slice(1)}`, "a prototype")
  })

  it("is nothing where it cannot be read", () => {
    for (const json of ["", "{", "null", "[]", "1", "\"text\"", JSON.stringify({ ...full, kind: "newer" })]) {
      assert.isTrue(Option.isNone(decodeMessage(json)), json)
    }
  })

  it("is written as the schema writes it", () => {
    const message = Option.getOrThrow(bySchema(JSON.stringify(full)))
    assert.strictEqual(encodeMessage(message), Schema.encodeSync(MessageJson)(message))
  })
})
