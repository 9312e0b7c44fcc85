/**
 * Loads the user's handler: a module whose default export is a `Handler`, a function or a route of functions, and which
 * may export `respond` and `activate` too. Says in one line what is wrong.
 */
import { Effect, Runtime, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, realpathSync, statSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { Activate } from "../Activation.ts"
import { Handler } from "../Handler.ts"
import { answerableKinds, isRespond } from "../Responder.ts"
import { mistakesIn } from "../Route.ts"
import { bundled } from "./bundled.ts"

export class HandlerModuleError extends Schema.TaggedError<HandlerModuleError>()("HandlerModuleError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `handler ${this.path}: ${this.detail}`
  }
}

/** The files of the bundle run, and the handler asks for what they do not have; see `bundled.ts`. */
export class NeedsModules extends Schema.TaggedError<NeedsModules>()("NeedsModules", {}) {
  override readonly [Runtime.errorReported] = false
}

const firstLine = (error: unknown) => String(error instanceof Error ? error.message : error).split("\n")[0] ?? ""

/** What V8 says to a module that Node reads as CommonJS, and what to do about that. */
const asCommonJs = (error: unknown) =>
  error instanceof SyntaxError && /outside a module|token 'export'|bodies of modules/.test(error.message)
    ? `; Node reads it as CommonJS: say "type": "module" in the package.json above it, or call it .mts or .mjs`
    : ""

/** Line and column at which the text names this file first: `3:7`, or only `3`. */
const placeIn = (text: string, file: string): string | undefined => {
  const real = realpathSync(file)
  for (const name of [pathToFileURL(real).href, real]) {
    const at = text.indexOf(`${name}:`)
    const place = at === -1 ? null : /^\d+(?::\d+)?/.exec(text.slice(at + name.length + 1))
    if (place !== null) return place[0]
  }
  return undefined
}

/** Where in the handler's file it went wrong, where that is known. */
const placeOf = (error: unknown, file: string): string | undefined => {
  if (!(error instanceof Error)) return undefined
  const place = placeIn(String(error.stack), file)
  if (place !== undefined || !(error instanceof SyntaxError)) return place
  // To whoever imports a module V8 does not say where its syntax is wrong; Node says it when asked.
  return placeIn(spawnSync(process.execPath, ["--check", file], { encoding: "utf8", timeout: 5_000 }).stderr, file)
}

/** What a default export that is no handler should have been. */
const unfit = (exported: unknown) => {
  const mistakes = typeof exported === "object" && exported !== null ? mistakesIn(exported) : []
  return "its default export must be a function, an object of entries (message, slashCommand, …) or the result of " +
    "Handler.make or Handler.route" +
    (mistakes.length === 0 ? "" : `; no entry, or no function: ${mistakes.join(", ")}`)
}

/** What it answers is seen when it is asked. */
const isActivate = (value: unknown): value is Activate => typeof value === "function"

/** The file that holds the handler; nothing in it is run. */
export const handlerFile = (path: string): Effect.Effect<string, HandlerModuleError> =>
  Effect.suspend(() => {
    const file = resolve(path)
    return existsSync(file) && statSync(file).isFile()
      ? Effect.succeed(file)
      : new HandlerModuleError({ path, detail: "no such file; give the path of a .ts or .js module" })
  })

export const loadHandler = Effect.fn("loadHandler")(function*(path: string) {
  const file = yield* handlerFile(path)
  const fail = (detail: string) => new HandlerModuleError({ path, detail })
  const loaded = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(file).href) as Promise<{ readonly [name: string]: unknown }>,
    catch: (error) => {
      const place = placeOf(error, file)
      const where = place === undefined ? "" : `; ${path}:${place}`
      return fail(`it could not be loaded (${firstLine(error)}${where})${asCommonJs(error)}`)
    }
  })
  if (bundled.isUsed && bundled.isTooLittle) return yield* new NeedsModules()
  const { activate, default: exported, respond } = loaded
  const handler = Handler.fromExport(exported)
  if (handler === undefined) return yield* fail(unfit(exported))
  if (respond !== undefined && !isRespond(respond)) {
    return yield* fail(`its export "respond" must be an object of functions named ${answerableKinds.join(", ")}`)
  }
  if (activate !== undefined && !isActivate(activate)) {
    return yield* fail(`its export "activate" must be a function of a message, see docs/handlers.md`)
  }
  return { handler, ...(respond === undefined ? {} : { respond }), ...(activate === undefined ? {} : { activate }) }
})
