/**
 * In a checkout there is no built package, so `import … from "slackwater"` in a handler means these sources: the very
 * modules that run here, not a second copy of them.
 */
import { registerHooks } from "node:module"

const names = new Map([
  ["slackwater", new URL("../index.ts", import.meta.url).href],
  ["slackwater/sqlite", new URL("../sql/host.ts", import.meta.url).href],
  ["slackwater/testing", new URL("../testing/index.ts", import.meta.url).href]
])

registerHooks({
  resolve: (specifier, context, next) => {
    const url = names.get(specifier)
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
  }
})
