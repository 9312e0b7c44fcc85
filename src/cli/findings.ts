/** What `slackwater doctor` finds, one thing at a time. Nothing in it is ever a token. */
import { Schema } from "effect"

export const Finding = Schema.Struct({
  /** What was looked at. */
  check: Schema.String,
  /** `wrong` must be fixed; a `warning` may be meant so; `skipped` could not be looked at. */
  result: Schema.Literals(["ok", "warning", "wrong", "skipped"]),
  says: Schema.String,
  /** What to do; null where there is nothing to be done. */
  fix: Schema.NullOr(Schema.String)
})
export type Finding = typeof Finding.Type

/** What `doctor --json` prints. Fields may be added, never changed. */
export const Diagnosis = Schema.Struct({
  /** As the command exits: 0, 1 where something must be fixed, 78 where the settings are wrong. */
  exitCode: Schema.Literals([0, 1, 78]),
  findings: Schema.Array(Finding)
})
export type Diagnosis = typeof Diagnosis.Type

export const ok = (check: string, says: string): Finding => ({ check, result: "ok", says, fix: null })
export const warning = (check: string, says: string, fix: string): Finding => ({ check, result: "warning", says, fix })
export const wrong = (check: string, says: string, fix: string): Finding => ({ check, result: "wrong", says, fix })
export const skipped = (check: string, says: string): Finding => ({ check, result: "skipped", says, fix: null })
