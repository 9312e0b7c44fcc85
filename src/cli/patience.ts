/**
 * The end by a signal: how long it may take and which exit code it has. Imports nothing, so that `bin.ts` can have it at
 * once.
 */

/** From the first signal on (ms). `bin.ts` keeps it with a timer; the commands set it when they have read their settings. */
export const patience = { ms: 25_000 }

/**
 * The exit code of an end by a signal. A gateway that is told to stop has done its work; a command that was cut off has
 * not.
 */
export const interruptedCode = (args: ReadonlyArray<string>): number => {
  const command = args.find((arg, index) => !arg.startsWith("-") && args[index - 1] !== "--log-level")
  return command === "run" || command === "dev" ? 0 : 1
}
