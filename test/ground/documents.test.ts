/** Pages that say what other files say: the reference of public names, the manifest of the Slack app. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const read = (path: string) => readFileSync(path, "utf8")

describe("the API reference", () => {
  const reference = globSync("docs/api/**/*.md").map(read).join("\n")

  for (const entry of ["src/index.ts", "src/promise/index.ts", "src/sql/host.ts", "src/testing/index.ts"]) {
    it(`has every public name of ${entry}; npm run docs:api writes it`, () => {
      const names = [...read(entry).matchAll(/^export (?:type )?(?:\{([^}]*)\}|\* as (\w+)) from "\./gm)]
        .flatMap(([, list, module]) => module ?? (list ?? "").split(","))
        .map((name) => name.trim().replace(/^type /, "").replace(/^.* as /, ""))
        .filter((name) => name !== "")
      assert.isAbove(names.length, 0)
      assert.deepStrictEqual(names.filter((name) => !reference.includes(name)), [])
    })
  }
})

describe("the manifest of the Slack app", () => {
  const manifest = read("docs/slack-app-manifest.yaml")
  const items = new Set([...manifest.matchAll(/^\s+- (\S+)$/gm)].map(([, item]) => item))

  it("asks for every bot scope and event that the README names", () => {
    const paragraph = /Against your own Slack app[\s\S]*?```sh/.exec(read("README.md"))?.[0] ?? ""
    const named = [...paragraph.matchAll(/`([a-z_.]+(?::[a-z]+)?)`/g)].map(([, name]) => name ?? "")
      .filter((name) => name !== "connections:write" && /[:_.]/.test(name))
      // The page beside it has the whole list.
      .filter((name) => !name.endsWith(".yaml"))
    assert.isAbove(named.length, 5)
    assert.deepStrictEqual(named.filter((name) => !items.has(name)), [])
  })

  it("asks for every scope that catching up needs", () => {
    const scopes = /\*\*Scopes\.\*\*[\s\S]*?\n\n/.exec(read("docs/catch-up.md"))?.[0] ?? ""
    const named = [...scopes.matchAll(/`([a-z]+:[a-z]+)`/g)].map(([, name]) => name)
    assert.isAbove(named.length, 5)
    assert.deepStrictEqual(named.filter((name) => !items.has(name)), [])
  })

  it("switches Socket Mode on", () => assert.match(manifest, /^ {2}socket_mode_enabled: true$/m))
})
