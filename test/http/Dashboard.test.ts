/** The dashboard as it is served: its files and no others, under a policy that lets nothing else in. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { globSync, readFileSync } from "node:fs"
import { ask, freePort } from "../fixtures/ask.ts"
import { echo, startGateway, temporaryDirectory, withSlack } from "../fixtures/gateway.ts"

const served = Effect.gen(function*() {
  const port = yield* freePort
  yield* startGateway(yield* temporaryDirectory, echo, { port })
  return (path: string) => ask(port, path)
})

const sources = globSync("src/dashboard/*.{mjs,html,css}")
  .map((path) => ({ path, text: readFileSync(path, "utf8") }))

describe("the dashboard over HTTP", () => {
  it.live("the page names only files of its own, which come as what they are", () =>
    withSlack(Effect.gen(function*() {
      const get = yield* served
      const page = yield* get("/")
      assert.strictEqual(page.status, 200)
      assert.match(page.headers["content-type"] ?? "", /^text\/html/)
      const named = [...page.body.matchAll(/(?:src|href)="(dashboard\/[^"]+)"/g)].map((match) => `/${match[1]}`)
      const imported = sources.flatMap(({ text }) =>
        [...text.matchAll(/from "\.\/(\w+\.mjs)"/g)].map((match) => `/dashboard/${match[1]}`)
      )
      const types: Record<string, RegExp> = { mjs: /javascript/, js: /javascript/, css: /css/, svg: /svg/ }
      const paths = new Set([...named, ...imported, "/dashboard/uPlot.esm.js"])
      assert.isAbove(paths.size, 15)
      for (const path of paths) {
        const file = yield* get(path)
        assert.strictEqual(file.status, 200, path)
        assert.match(file.headers["content-type"] ?? "", types[path.split(".").at(-1) ?? ""] ?? /^$/, path)
        assert.strictEqual(file.headers["x-content-type-options"], "nosniff", path)
      }
    })))

  it.live("its policy knows no other host, no inline script but its import map, and no markup out of strings", () =>
    withSlack(Effect.gen(function*() {
      const get = yield* served
      const { headers } = yield* get("/")
      const policy = String(headers["content-security-policy"])
      for (const rule of ["default-src 'none'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) {
        assert.include(policy, rule)
      }
      assert.match(policy, /script-src 'self' 'sha256-[\w+/]{43}='(;|$)/)
      assert.include(policy, "require-trusted-types-for 'script'; trusted-types 'none'")
      assert.notMatch(policy, /unsafe|\*|https?:/)
    })))

  it.live("nothing else can be had under its names", () =>
    withSlack(Effect.gen(function*() {
      const get = yield* served
      for (
        const name of [
          "shapes.ts",
          "tsconfig.json",
          "index.html",
          "missing.mjs",
          "..%2fhttp%2fGuard.ts",
          "%2e%2e%2fbin.ts"
        ]
      ) {
        const { body, status } = yield* get(`/dashboard/${name}`)
        assert.strictEqual(status, 404, name)
        assert.deepStrictEqual(JSON.parse(body), { error: "this is no part of the dashboard" }, name)
      }
    })))
})

describe("the dashboard's sources", () => {
  it("never make markup out of a string, run one, or put style into an attribute", () => {
    for (const { path, text } of sources) {
      assert.notMatch(
        text,
        /\.(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bstyle=|\bon\w+="/,
        path
      )
    }
  })

  it("name no other host", () => {
    for (const { path, text } of sources) {
      assert.notMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, path)
    }
  })
})
