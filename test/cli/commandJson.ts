/** What a command prints with --json: it must be what its schema says, and no field more. */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { outcome } from "./process.ts"

export const commandJson = <A, I>(schema: Schema.Codec<A, I>) => (cwd: string, args: ReadonlyArray<string>, code = 0) =>
  Effect.gen(function*() {
    const ended = yield* outcome([...args, "--json"], { cwd })
    assert.strictEqual(ended.code, code, ended.stderr)
    return Schema.decodeUnknownSync(Schema.fromJsonString(schema), { onExcessProperty: "error" })(ended.stdout)
  })
