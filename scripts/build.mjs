/**
 * Builds `dist` from `src`: JavaScript and types by tsc, and every other file (a page, a style sheet) as it is.
 * Starts from an empty folder, so that nothing of a removed module is published.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, existsSync, rmSync, statSync } from "node:fs"

rmSync("dist", { recursive: true, force: true })
const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit"
})
if (status !== 0) process.exit(status ?? 1)

const isCopied = (path) => statSync(path).isDirectory() || !(path.endsWith(".ts") || path.endsWith("tsconfig.json"))
cpSync("src", "dist", { recursive: true, filter: isCopied })
if (existsSync("dist/bin.js")) chmodSync("dist/bin.js", 0o755)
if (existsSync("dist/cli/main.js")) await import("./bundle.mjs")
