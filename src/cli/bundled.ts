/**
 * What is installed holds the command line twice: as modules, and as a few files (`dist/bundled`, by scripts/bundle.mjs)
 * that need half the time and half the memory of hundreds. They carry an Effect of their own, with nothing in it but what
 * they use.
 *
 * Guarantees: a handler that imports Effect or `slackwater` has the very modules that run, never a second copy beside
 * them: for it the modules are loaded. Mostly its text says so before anything is; where only a module behind it imports
 * them, the files hand over to the modules before anything is written, and no module of the handler runs twice.
 * Does not: see what a handler imports later, while it runs.
 * `bin.ts` imports it on any Node: no named import from Node that an old one does not have.
 */
import { existsSync, readFileSync } from "node:fs"
import nodeModule from "node:module"

/** In a checkout there are none. */
const folder = new URL("../bundled/", import.meta.url)

const isShared = /^(?:effect|slackwater|@effect\/[^/]+)(?:\/|$)/
/** Types alone are gone when a module runs. */
const typesAlone = /^\s*(?:import|export)\s+type\b[^"'`;]*["'][^"'\n]+["']/gm
const namesShared = /["'](?:effect|slackwater|@effect\/[^/"'\n]+)["'/]/

const saysSo = (path: string) => {
  try {
    return namesShared.test(readFileSync(path, "utf8").replaceAll(typesAlone, ""))
  } catch {
    return false
  }
}

export const bundled = {
  /** Whether these files run. */
  isUsed: false,
  /** Whether a module asked for what only the modules have. */
  isTooLittle: false,
  /** Loads the modules and starts again with them. */
  handOver: () => {}
}

/** The file to load for a command line; undefined where the modules must do. */
export const bundleFor = (name: string, args: ReadonlyArray<string>): string | undefined => {
  const file = new URL(`${name}.js`, folder)
  if (!existsSync(file) || args.some((arg) => /\.[cm]?[jt]s$/.test(arg) && saysSo(arg))) return undefined
  bundled.isUsed = true
  nodeModule.registerHooks({
    resolve: (specifier, context, next) => {
      bundled.isTooLittle ||= isShared.test(specifier)
      return next(specifier, context)
    }
  })
  return file.href
}
