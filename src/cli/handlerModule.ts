/**
 * Loads the user's handler: a module whose default export is a `Handler`, a function or a route of functions, and which
 * may export `respond` too. Says in one line what is wrong.
 */
import { Effect, Runtime, Schema } from "effect"
import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Handler } from "../Handler.ts"
import { answerableKinds, isRespond } from "../Responder.ts"

export class HandlerModuleError extends Schema.TaggedError<HandlerModuleError>()("HandlerModuleError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 78
  override get message(): string {
    return `handler ${this.path}: ${this.detail}`
  }
}

const firstLine = (error: unknown) => String(error instanceof Error ? error.message : error).split("\n")[0] ?? ""

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
    try: () => import(pathToFileURL(file).href) as Promise<{ readonly default?: unknown; readonly respond?: unknown }>,
    catch: (error) => fail(`it could not be loaded (${firstLine(error)})`)
  })
  const handler = Handler.fromExport(loaded.default)
  if (handler === undefined) {
    return yield* fail("its default export must be a function or the result of Handler.make or Handler.route")
  }
  if (loaded.respond === undefined) return { handler }
  if (!isRespond(loaded.respond)) {
    return yield* fail(`its export "respond" must be an object of functions named ${answerableKinds.join(", ")}`)
  }
  return { handler, respond: loaded.respond }
})
