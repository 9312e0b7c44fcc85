/**
 * Whose an error is that nobody caught (port). Adapter: `cli/strayErrors.ts`.
 *
 * An async function can leave things behind: a promise that nobody awaits, a timer that throws. Node tells the process of
 * them, and not the turn. Where the process listens, the turn they came from fails; a reference and no service, since
 * inside a host the host decides what its process does.
 */
import { Context } from "effect"

export const StrayErrors = Context.Reference<{
  /** Runs the user's code; what it leaves behind fails whoever `fail` stands for. */
  readonly within: <A>(fail: (error: unknown) => void, code: () => A) => A
  /** Runs our own code in the middle of the user's: what it starts is nobody's. */
  readonly outside: <A>(code: () => A) => A
}>("slackwater/StrayErrors", {
  defaultValue: () => ({ within: (_, code) => code(), outside: (code) => code() })
})
