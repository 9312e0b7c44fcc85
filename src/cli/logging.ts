/**
 * How the command line logs: to stderr, so that stdout stays for what a command prints; readable on a terminal, one
 * JSON object a line elsewhere; without secrets; and never the same line without end.
 *
 * Of lines that say the same (level and message), a hundred a minute are written from info up; the next one says how
 * many were left out in between (`repeated`), and the end says what is left.
 */
import { ConfigProvider, Effect, Layer, Logger, type LogLevel, Option, References } from "effect"
import { setting } from "../GatewayConfig.ts"
import { hide } from "./secrets.ts"
import { settings } from "./settings.ts"
import { oneLine } from "./terminalText.ts"

const most = 100
const perMs = 60_000
/** Different lines that are remembered. Who says more than these at once is heard. */
const mostKinds = 1_000

interface Kind {
  since: number
  written: number
  leftOut: number
}

/** Bounds what says the same. */
export class Repetitions {
  readonly #kinds = new Map<string, Kind>()

  /** How many were left out before this one; undefined where this one is left out too. */
  admit(line: string, now: number): number | undefined {
    let kind = this.#kinds.get(line)
    if (kind === undefined) {
      kind = { since: now, written: 0, leftOut: 0 }
      if (this.#kinds.size >= mostKinds) this.#forget(now)
      if (this.#kinds.size < mostKinds) this.#kinds.set(line, kind)
    }
    if (now - kind.since >= perMs) Object.assign(kind, { since: now, written: 0 })
    if (kind.written >= most) {
      kind.leftOut += 1
      return undefined
    }
    kind.written += 1
    const before = kind.leftOut
    kind.leftOut = 0
    return before
  }

  /** What was left out and not told yet. */
  get untold(): ReadonlyArray<{ readonly line: string; readonly leftOut: number }> {
    return [...this.#kinds].flatMap(([line, { leftOut }]) => leftOut === 0 ? [] : [{ line, leftOut }])
  }

  #forget(now: number) {
    for (const [line, { leftOut, since }] of this.#kinds) {
      if (leftOut === 0 && now - since >= perMs) this.#kinds.delete(line)
    }
  }
}

const firstOf = (message: unknown): string => {
  const first: unknown = Array.isArray(message) ? message[0] : message
  return typeof first === "string" ? first.slice(0, 300) : typeof first
}

const colours: Partial<Record<LogLevel.LogLevel, string>> = {
  Trace: "90",
  Debug: "90",
  Info: "32",
  Warn: "33",
  Error: "31",
  Fatal: "41;97"
}

const shown = (value: unknown): string => oneLine(typeof value === "string" ? value : JSON.stringify(value) ?? "")

/** One line, and the cause below it; what strangers wrote controls no terminal. */
const pretty = (isColoured: boolean) => {
  const painted = (code: string | undefined, text: string) =>
    isColoured && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text
  return Logger.map(Logger.formatStructured, ({ annotations, cause, level, message, timestamp }) => {
    const name = `${level.slice(0, 1)}${level.slice(1).toLowerCase()}`
    const said = (Array.isArray(message) ? message : [message]).map(shown).join(" ")
    const fields = Object.entries(annotations).filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${painted("90", `${key}=`)}${shown(value)}`)
    const line = [
      painted("90", timestamp.slice(11, 23)),
      painted(colours[name as LogLevel.LogLevel], level.padEnd(5)),
      said,
      ...fields
    ]
    const below = cause === undefined ? [] : cause.split("\n").map((text) => `    ${oneLine(text)}`)
    return [line.join(" "), ...below].join("\n")
  })
}

const logger = (format: "pretty" | "json", repetitions: Repetitions) => {
  const inner = Logger.map(
    format === "json" ? Logger.formatJson : pretty(process.stderr.isTTY && !process.env["NO_COLOR"]),
    hide
  )
  const written = Logger.withConsoleError(inner)
  return Logger.make<unknown, void>((options) => {
    const isBounded = !["Trace", "Debug"].includes(options.logLevel)
    const before = isBounded
      ? repetitions.admit(`${options.logLevel} ${firstOf(options.message)}`, options.date.getTime())
      : 0
    if (before === undefined) return
    written.log(before === 0 ? options : { ...options, message: [options.message, { repeated: before }].flat() })
  })
}

/** A value that makes no sense is refused by the command that reads the settings; help and others go on. */
export const logging = Layer.unwrap(Effect.gen(function*() {
  const read = Effect.provideService(
    Effect.all([setting("logLevel"), setting("logFormat")]),
    ConfigProvider.ConfigProvider,
    yield* Effect.orElseSucceed(settings, () => ConfigProvider.fromEnv())
  )
  const [level, format] = Option.getOrElse(yield* Effect.option(read), () => ["Info", "auto"] as const)
  const repetitions = new Repetitions()
  const loggers = Logger.layer([
    logger(format === "auto" ? process.stderr.isTTY ? "pretty" : "json" : format, repetitions)
  ])
  const atTheEnd = Layer.effectDiscard(Effect.addFinalizer(() =>
    Effect.forEach(
      repetitions.untold,
      ({ leftOut, line }) =>
        Effect.logInfo("lines were left out that said the same").pipe(Effect.annotateLogs({ line, repeated: leftOut })),
      { discard: true }
    )
  ))
  return Layer.provideMerge(atTheEnd, Layer.merge(loggers, Layer.succeed(References.MinimumLogLevel, level)))
}))
