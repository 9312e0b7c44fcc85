/**
 * What goes wrong, for people who do not write Effect: an `Error` with a code. The code is the name of the error that
 * Effect code sees, the reason says which of its kinds it is.
 */
import { Cause, Effect, Exit, Option, Predicate, Runtime } from "effect"

export class SlackwaterError extends Error {
  override readonly name = "SlackwaterError"
  /** `GatewayConfigError`, `DatabaseError`, `HttpError`, `StoreError`, `TurnError`, `GaveUp`, `HandlerError`, `Defect`, `Closed`. */
  readonly code: string
  /** Which kind of it: of a `DatabaseError` for example `Owned`, of a `TurnError` `ReplyFailed`. */
  readonly reason: string | undefined
  /** With what `slackwater run` would have ended; for `process.exitCode`. */
  readonly exitCode: number

  constructor(
    message: string,
    given: { readonly code: string; readonly reason?: string; readonly exitCode?: number; readonly cause?: unknown }
  ) {
    super(message, given.cause === undefined ? {} : { cause: given.cause })
    this.code = given.code
    this.reason = given.reason
    this.exitCode = given.exitCode ?? 1
  }
}

const tagOf = (value: unknown) =>
  Predicate.hasProperty(value, "_tag") && typeof value._tag === "string" ? value._tag : undefined

const errorOf = (cause: Cause.Cause<unknown>): SlackwaterError => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error instanceof SlackwaterError) return error
  if (error === undefined) {
    const interrupted = Cause.hasInterruptsOnly(cause)
    return new SlackwaterError(interrupted ? "the gateway is closed" : Cause.pretty(cause), {
      code: interrupted ? "Closed" : "Defect",
      exitCode: interrupted ? 1 : 70
    })
  }
  const reason = tagOf(Predicate.hasProperty(error, "reason") ? error.reason : undefined)
  return new SlackwaterError(error instanceof Error ? error.message : String(error), {
    code: tagOf(error) ?? "Error",
    ...(reason === undefined ? {} : { reason }),
    exitCode: Runtime.getErrorExitCode(error),
    // Its parts, for a log; no setting's value is in it.
    cause: error
  })
}

/** Rejects with nothing but a `SlackwaterError`. */
export const settled = async <A>(exit: Promise<Exit.Exit<A, unknown>>): Promise<A> => {
  const ended = await exit
  if (Exit.isSuccess(ended)) return ended.value
  throw errorOf(ended.cause)
}

/** For an Effect that is run as it is. */
export const withErrors = <A, E>(effect: Effect.Effect<A, E>) => settled(Effect.runPromiseExit(effect))
