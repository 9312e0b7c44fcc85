/**
 * In a checkout there is no built package, so `import … from "slackwater"` in a handler means these sources: the very
 * modules that run here, not a second copy of them. So does `effect` for a handler that has none of its own: it may lie
 * anywhere. Programs that embed the gateway run unbuilt with `--import` of this file.
 */
import { registerHooks } from "node:module"

const names = new Map([
  ["slackwater", new URL("../index.ts", import.meta.url).href],
  ["slackwater/promise", new URL("../promise/index.ts", import.meta.url).href],
  ["slackwater/sqlite", new URL("../sql/host.ts", import.meta.url).href],
  ["slackwater/testing", new URL("../testing/index.ts", import.meta.url).href]
])
const isEffect = /^effect(?:\/|$)/
const isNotFound = (error: unknown) =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"

registerHooks({
  resolve: (specifier, context, next) => {
    const url = names.get(specifier)
    if (url !== undefined) return { url, shortCircuit: true }
    if (!isEffect.test(specifier)) return next(specifier, context)
    try {
      return next(specifier, context)
    } catch (error) {
      if (!isNotFound(error)) throw error
      return next(specifier, { ...context, parentURL: import.meta.url })
    }
  }
})
