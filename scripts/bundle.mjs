/**
 * Makes `dist/bundled` out of `dist`: the command line as a few files, with the parts of Effect that it uses and no
 * others. Node spends most of a start on finding and reading modules, and keeps all it has read. `src/cli/bundled.ts`
 * says when these files run.
 *
 * Slack's clients stay packages: a handler may use them too. So do our modules that `bin.js` has loaded by then.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { rolldown } from "rolldown"

const shared = new Map(
  ["bundled", "nodeVersion", "secrets", "signals", "strayErrors"].map((name) => [
    resolve(`dist/cli/${name}.js`),
    { id: `../cli/${name}.js`, external: true }
  ])
)
const isPackage = (id) => /^[^./\0]/.test(id) && !/^\w:[\\/]/.test(id)
const isEffect = (id) => /^(?:effect|@effect\/[^/]+)(?:\/|$)/.test(id)

const bundle = await rolldown({
  input: Object.fromEntries(["main", "run", "healthcheck"].map((name) => [name, `dist/cli/${name}.js`])),
  platform: "node",
  experimental: { attachDebugInfo: "none" },
  external: (id) => isPackage(id) && !isEffect(id),
  plugins: [{
    name: "shared",
    resolveId: (id, from) => shared.get(resolve(dirname(from ?? "."), id))
  }]
})
const { output } = await bundle.write({
  dir: "dist/bundled",
  format: "esm",
  chunkFileNames: "[name]-[hash].js",
  comments: false
})
await bundle.close()

/**
 * One letter outside of Latin, and V8 keeps the text of the whole file in two bytes a letter. The escapes mean the same in
 * strings, templates and patterns, and that is where such letters are; only `String.raw` would show them.
 */
const inAscii = (code) =>
  code.replaceAll(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
for (const { code, fileName } of output) {
  if (code?.includes("String.raw") === false) writeFileSync(join("dist/bundled", fileName), inAscii(code))
}

/** What we pass on of others, we pass on with their licence. */
const folderOf = (id) => /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(id)?.[1]
const folders = new Set(
  output.flatMap(({ moduleIds = [] }) => moduleIds).map(folderOf).filter((id) => id !== undefined)
)
const licences = [...folders].map((folder) => {
  const { license, name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const [file] = globSync("LICEN[SC]E*", { cwd: folder })
  return `${name} ${version} (${license})\n\n${file === undefined ? "" : readFileSync(join(folder, file), "utf8")}`
})
writeFileSync("dist/bundled/LICENSES.txt", licences.toSorted().join("\n\n"))
