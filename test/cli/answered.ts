/** What a command printed with --json: what its schema says, and no field more. */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { answers } from "../../src/cli/answers.ts"
import { outcome } from "./process.ts"

type Answers = typeof answers

export const decodeAnswer = <A, I>(schema: Schema.Codec<A, I>) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(schema), { onExcessProperty: "error" })

export const answered = <Name extends keyof Answers>(command: Name, stdout: string): Answers[Name]["Type"] =>
  decodeAnswer<Answers[Name]["Type"], unknown>(answers[command])(stdout)

/** Runs a command to this exit code and answers what it printed. */
export const commandJson = <A, I>(schema: Schema.Codec<A, I>) => (cwd: string, args: ReadonlyArray<string>, code = 0) =>
  Effect.gen(function*() {
    const ended = yield* outcome([...args, "--json"], { cwd })
    assert.strictEqual(ended.code, code, ended.stderr)
    return decodeAnswer(schema)(ended.stdout)
  })
