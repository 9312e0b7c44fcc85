/**
 * What a fiber of a handler works for, where that is less than its turn: a call of a route, a step. References, so that
 * whatever the handler forks, and every handle it keeps, says the same.
 */
import { Context } from "effect"
import type { InboundMessage } from "./Message.ts"

/** The call of a route: what it is about, and where it stands in its turn. */
export const CurrentCall = Context.Reference<
  { readonly index: number; readonly messages: ReadonlyArray<InboundMessage> } | undefined
>("slackwater/CurrentWork/CurrentCall", { defaultValue: () => undefined })

/** The later calls of a turn have names of their own; the first keeps its, so that a plain handler may become a route. */
export const ownName = (name: string, index: number): string => index === 0 ? name : `call ${index + 1}: ${name}`

/** The step, and the keys of what was said in it. */
export const CurrentStep = Context.Reference<{ readonly name: string; readonly said: Set<string> } | undefined>(
  "slackwater/CurrentWork/CurrentStep",
  { defaultValue: () => undefined }
)
