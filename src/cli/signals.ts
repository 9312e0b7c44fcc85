/**
 * What the process is told from outside and who hears it: how long an end by a signal may take and which exit code it has,
 * a request to reload, an error that nobody caught. Imports nothing, so that `bin.ts` can have it at once.
 */

/**
 * From the first signal on (ms). `bin.ts` keeps it with a timer; the commands set it when they have read their settings.
 * `since`: when that signal came, on the clock of `performance`.
 */
export const patience: { ms: number; since: number | undefined } = { ms: 25_000, since: undefined }

/** A signal to reload. Nobody may listen yet, or ever; then the request waits. */
export const reloading = {
  isWanted: false,
  listener: () => {},
  request: () => {
    reloading.isWanted = true
    reloading.listener()
  }
}

/** An error that nobody caught and that is no turn's. Answers whether somebody ends the program in order now. */
export const uncaught: { listener: (error: unknown) => boolean } = { listener: () => false }

/** The command among the arguments, as far as can be told without reading them all. */
const commandOf = (args: ReadonlyArray<string>) =>
  args.find((arg, index) => !arg.startsWith("-") && args[index - 1] !== "--log-level")

/** Only a gateway has something to reload. */
export const canReload = (args: ReadonlyArray<string>): boolean => commandOf(args) === "run"

/**
 * The exit code of an end by a signal. A gateway that is told to stop has done its work; a command that was cut off has
 * not.
 */
export const interruptedCode = (args: ReadonlyArray<string>): number => {
  const command = commandOf(args)
  return command === "run" || command === "dev" ? 0 : 1
}
