/**
 * What must be done to node_modules before anything here can run. npm runs this after `npm ci` in the repository, and
 * never for a user who installs the package: the user gets the patched driver bundled.
 *
 * 1. patch-package puts `patches/` onto the SQLite driver (see patches/README.md for why).
 * 2. effect-tsgo makes `tsc` report Effect mistakes, such as an Effect that nobody runs, as errors.
 *
 * An install without devDependencies has neither tool. It goes on, and says so: the unpatched driver then fails to
 * load at its first import, so nobody can lose writes to it unknowingly.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"

const tools = [
  { name: "patch-package", bin: "node_modules/patch-package/index.js", args: ["--error-on-fail"] },
  { name: "effect-tsgo", bin: "node_modules/@effect/tsgo/dist/effect-tsgo.cjs", args: ["patch", "--typescript"] }
]

for (const { name, bin, args } of tools) {
  if (!existsSync(bin)) {
    console.log(`prepare: ${name} is a devDependency and is not installed here; left out`)
    continue
  }
  const { status, error } = spawnSync(process.execPath, [bin, ...args], { stdio: "inherit" })
  if (status !== 0) {
    console.error(`prepare: ${name} failed${error === undefined ? "" : `: ${error.message}`}`)
    process.exit(1)
  }
}
