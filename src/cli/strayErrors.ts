/**
 * Errors that nobody caught, and the turn they belong to: Node remembers on whose behalf code runs, through promises,
 * timers and emitters, and still knows it in the event in which it reports the error.
 * Sees only handlers that are async functions.
 */
import { AsyncLocalStorage } from "node:async_hooks"

type Fail = (error: unknown) => void
const onBehalfOf = new AsyncLocalStorage<Fail>()

/** The adapter of `../StrayErrors.ts`. */
export const strayErrors = {
  within: <A>(fail: Fail, code: () => A): A => onBehalfOf.run(fail, code),
  outside: <A>(code: () => A): A => onBehalfOf.exit(code)
}

/** Called in the very event in which Node reports the error. Answers whether it had an owner. */
export const contain = (error: unknown): boolean => {
  const fail = onBehalfOf.getStore()
  fail?.(error)
  return fail !== undefined
}
