/**
 * `npm run check` finds what it is meant to find: a small tree with one mistake per file, checked with the
 * repository's own settings. A tool that was not set up (effect-tsgo not patched in, a rule renamed by an update)
 * would otherwise go quiet and look like a clean house.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

/** One line per finding, each with its file and its rule. */
const check = (
  tool: "typescript/bin/tsc" | "oxlint/bin/oxlint",
  args: Array<string>,
  files: Record<string, string>
) => {
  const root = process.cwd()
  const folder = mkdtempSync(join(tmpdir(), "slackwater-check-"))
  try {
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction")
    for (const name of ["package.json", "tsconfig.json", ".oxlintrc.json"]) cpSync(join(root, name), join(folder, name))
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), `${text}\n`)
    }
    const { status, stdout } = spawnSync(process.execPath, [join(root, "node_modules", tool), ...args], {
      cwd: folder,
      encoding: "utf8"
    })
    assert.notStrictEqual(status, 0, "nothing was found")
    return stdout.replaceAll("\\", "/").split("\n").filter((line) => line.startsWith("src/"))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const cases = (
  lines: ReadonlyArray<string>,
  expected: ReadonlyArray<readonly [what: string, file: string, rule: string]>
) => {
  for (const [what, file, rule] of expected) {
    it(`finds ${what}`, () => assert.match(lines.filter((line) => line.startsWith(file)).join("\n"), new RegExp(rule)))
  }
  it("finds nothing else", () => {
    const files = expected.map(([, file]) => file)
    assert.deepStrictEqual(lines.filter((line) => !files.some((file) => line.startsWith(file))), [])
  })
}

describe("tsc", () => {
  const effect = (body: string) => `import { Effect } from "effect"\n${body}`
  const found = check("typescript/bin/tsc", ["--pretty", "false"], {
    "src/Right.ts": effect(`export const right = Effect.andThen(Effect.log("run"), Effect.void)`),
    "src/Floating.ts": effect(`export const wrong = Effect.sync(() => { Effect.log("never") })`),
    "src/Clock.ts": effect(`export const wrong = Effect.gen(function*() { yield* Effect.log(Date.now()) })`),
    "src/cli/clock.ts": effect(`export const wrong = Effect.gen(function*() { yield* Effect.log(Date.now()) })`),
    "src/Merged.ts": [
      `import { Context, Effect, Layer } from "effect"`,
      `class A extends Context.Service<A, number>()("A") {}`,
      `class B extends Context.Service<B, number>()("B") {}`,
      `export const wrong = Layer.mergeAll(Layer.succeed(A, 1), Layer.effect(B, Effect.map(A, (a) => a + 1)))`
    ].join("\n"),
    "src/Provided.ts": [
      `import { Context, Effect, Layer } from "effect"`,
      `class A extends Context.Service<A, number>()("A") {}`,
      `export const wrong = Effect.provide(A, Layer.succeed(A, 1))`
    ].join("\n")
  })
  cases(found, [
    ["an Effect that nobody runs", "src/Floating.ts", "TS377001"],
    ["a clock that no test can hold", "src/Clock.ts", "globalDateInEffect"],
    ["the same in a technology folder", "src/cli/clock.ts", "globalDateInEffect"],
    ["layers merged that need each other", "src/Merged.ts", "layerMergeAllWithDependencies"],
    ["a room that chooses its own layers", "src/Provided.ts", "strictEffectProvide"]
  ])
})

describe("oxlint", () => {
  const found = check("oxlint/bin/oxlint", ["--format=unix"], {
    "src/Right.ts": `export const right = 1`,
    "src/Gateway.ts": `export { right } from "./slack/Right.ts"`,
    "src/slack/Right.ts": `export { WebClient as right } from "@slack/web-api"`,
    "src/sql/Right.ts": `export { DatabaseSync as right } from "node:sqlite"`,
    "src/cli/right.ts": `export const right = () => console.log(1)`,
    "src/slack/Floating.ts": `export const wrong = () => { Promise.resolve(1) }`,
    "src/Any.ts": `export const wrong = (value: any): unknown => value`,
    "src/sql/Print.ts": `export const wrong = () => console.log(1)`,
    "src/CycleA.ts": `import { b } from "./CycleB.ts"\nexport const a = () => b`,
    "src/CycleB.ts": `import { a } from "./CycleA.ts"\nexport const b = () => a`,
    "src/Direction.ts": `export { right } from "./sql/Right.ts"`,
    "src/Platform.ts": `export { readFileSync as wrong } from "node:fs"`,
    "src/testing/Fake.ts": `export type { WebClient } from "@slack/web-api"`,
    "src/http/Client.ts": `export { request } from "undici"`,
    "src/slack/Store.ts": `export { DatabaseSync } from "node:sqlite"`
  })
  cases(found, [
    ["a promise that nobody waits for", "src/slack/Floating.ts", "no-floating-promises"],
    ["any", "src/Any.ts", "no-explicit-any"],
    ["printing outside of the commands", "src/sql/Print.ts", "no-console"],
    ["a cycle", "src/CycleA.ts", "no-cycle"],
    ["the other end of the cycle", "src/CycleB.ts", "no-cycle"],
    ["a room that knows a technology", "src/Direction.ts", "no-restricted-imports"],
    ["a room that knows Node", "src/Platform.ts", "no-restricted-imports"],
    ["Slack's client in the fake Slack", "src/testing/Fake.ts", "no-restricted-imports"],
    ["undici outside of src/slack", "src/http/Client.ts", "no-restricted-imports"],
    ["a database outside of src/sql", "src/slack/Store.ts", "no-restricted-imports"]
  ])
})
