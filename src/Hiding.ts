/**
 * Takes the secrets of this process out of a text before it is stored (port). Adapter: `cli/secrets.ts`, which knows all
 * that the process was given; inside a host there are the tokens of the settings, and what looks like one.
 */
import { Context } from "effect"
import { hiding } from "./redaction.ts"

export const Hiding = Context.Reference<(text: string) => string>("slackwater/Hiding", { defaultValue: () => hiding() })
