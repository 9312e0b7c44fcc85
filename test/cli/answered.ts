/** What a command printed with --json: what its schema says, and no field more. */
import { Schema } from "effect"
import { answers } from "../../src/cli/answers.ts"

type Answers = typeof answers

export const answered = <Name extends keyof Answers>(command: Name, stdout: string): Answers[Name]["Type"] =>
  Schema.decodeUnknownSync(Schema.fromJsonString<Schema.Codec<Answers[Name]["Type"], unknown>>(answers[command]), {
    onExcessProperty: "error"
  })(stdout)
