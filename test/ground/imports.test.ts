/**
 * The house's direction, read from the files themselves and not from what the linter says: rooms (`src/*.ts`) know
 * no technology, each technology lives in one folder, and `Gateway.ts` only composes.
 */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

/** What a module imports or re-exports, types included, and what it loads later with `import(…)`. */
const importsOf = (source: string): ReadonlyArray<string> => {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "")
  const statements = code.matchAll(/^\s*(?:import|export)\b[^"'`;=]*?["']([^"'\n]+)["']/gm)
  const calls = code.matchAll(/\bimport\(\s*["']([^"'\n]+)["']/g)
  return [...statements, ...calls].map((match) => match[1] ?? "")
}

const modules = globSync("src/**/*.ts")
  .map((path) => path.replaceAll("\\", "/"))
  .map((path) => ({ path, imports: importsOf(readFileSync(path, "utf8")) }))

const composers = ["src/Gateway.ts", "src/index.ts", "src/bin.ts"]
const rooms = modules.filter(({ path }) => /^src\/[^/]+$/.test(path) && !composers.includes(path))

/** "importer → imported" for every import of `from` that `forbidden` matches. */
const offences = (from: typeof modules, forbidden: RegExp): ReadonlyArray<string> =>
  from.flatMap(({ path, imports }) => imports.filter((name) => forbidden.test(name)).map((name) => `${path} → ${name}`))

const outside = (folder: string): typeof modules => modules.filter(({ path }) => !path.startsWith(`src/${folder}/`))

describe("direction", () => {
  it("the reader of imports sees every kind", () => {
    const source = [
      `import "a"`,
      `import type { B } from "b"`,
      `import {\n  c,\n  d\n} from "c"`,
      `export * from "d"`,
      `export { e } from "e"`,
      `const later = () => import("f")`,
      `// import "not"`,
      `/* export * from "not" */`,
      `export const text = "not"`
    ]
    assert.deepStrictEqual(importsOf(source.join("\n")), ["a", "b", "c", "d", "e", "f"])
  })

  it("there are rooms", () => assert.isNotEmpty(rooms))

  it("no room imports a technology folder", () => assert.deepStrictEqual(offences(rooms, /^\.\/[a-z][^/]*\//), []))

  it("no room imports Node or a technology's package", () =>
    assert.deepStrictEqual(offences(rooms, /^(node:|@slack\/|undici|ws$|@effect\/(platform-|sql-))/), []))

  it("only src/slack imports Slack's client and undici", () =>
    assert.deepStrictEqual(offences(outside("slack"), /^(@slack\/|undici(\/|$))/), []))

  it("only src/sql imports a database", () =>
    assert.deepStrictEqual(offences(outside("sql"), /^(@effect\/sql-|node:sqlite$)/), []))
})

describe("src/Gateway.ts", () => {
  it("is at most 120 lines", () => {
    const lines = readFileSync("src/Gateway.ts", "utf8").trimEnd().split("\n").length
    assert.isAtMost(lines, 120)
  })
})
