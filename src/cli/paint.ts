/** Colours, on a terminal that wants them (`NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` are heard), and nowhere else. */
import { Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"

export type Colour = "green" | "yellow" | "red" | "dim" | "bold"
export type Paint = (colour: Colour, text: string) => string

const codes: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }

export const paint: Effect.Effect<Paint> = Effect.map(
  TerminalCapabilities.TerminalCapabilities,
  ({ canColor }): Paint => (colour, text) => canColor ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
)
