/**
 * Writes docs/api from the docstrings of the public modules. Run by hand, before a release: `npm run docs:api`.
 *
 * TypeDoc needs the JavaScript API of TypeScript, which version 7 does not have: it comes with a TypeScript of its own,
 * from npm's cache and not into node_modules. Both are pinned here.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"

const packages = ["typedoc@0.28.20", "typedoc-plugin-markdown@4.14.1", "typescript@6.0.3"]
const { exports } = JSON.parse(readFileSync("package.json", "utf8"))
const entries = Object.values(exports)
  .flatMap(({ default: built }) => built === undefined ? [] : [built])
  .map((built) => built.replace("./dist/", "src/").replace(/\.js$/, ".ts"))

rmSync("docs/api", { recursive: true, force: true })
const { status } = spawnSync("npm", [
  "exec",
  "--yes",
  ...packages.map((name) => `--package=${name}`),
  "--",
  "typedoc",
  "--tsconfig",
  "tsconfig.json",
  // What TypeScript 6 finds wrong in code for TypeScript 7 is none of the reference's business.
  "--skipErrorChecking",
  "--plugin",
  "typedoc-plugin-markdown",
  ...entries.flatMap((entry) => ["--entryPoints", entry]),
  "--out",
  "docs/api",
  "--readme",
  "none",
  "--router",
  "module",
  "--excludeExternals",
  "--excludePrivate",
  "--excludeInternal",
  "--disableSources",
  "--hideBreadcrumbs",
  "--logLevel",
  "Error"
], { stdio: "inherit" })
process.exit(status ?? 1)
