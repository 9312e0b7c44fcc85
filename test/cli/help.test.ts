/** What the command line says when it is asked. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { checkout, contents, directory, outcome } from "./process.ts"

const asked = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const cwd = yield* directory
  const { stdout, ...rest } = yield* outcome(args, { cwd })
  assert.deepStrictEqual(rest, { code: 0, signal: null, stderr: "" })
  assert.deepStrictEqual(contents(cwd), {})
  return stdout
})

it.live("slackwater alone shows the help and every command", () =>
  Effect.gen(function*() {
    const help = yield* asked([])
    assert.match(help, /USAGE/)
    for (const command of ["dev", "run", "send", "import"]) assert.match(help, new RegExp(`^ +${command} +\\w`, "m"))
    assert.strictEqual(yield* asked(["--help"]), help)
    assert.strictEqual(yield* asked(["-h"]), help)
  }))

it.live("every command has its help", () =>
  Effect.gen(function*() {
    const takes = [["dev", "handler"], ["run", "handler"], ["send", "--channel"], ["import", "dir"]] as const
    for (const [command, what] of takes) {
      const help = yield* asked([command, "--help"])
      assert.match(help, new RegExp(`slackwater ${command} `))
      assert.include(help, what)
    }
  }))

it.live("--version is the version of the package", () =>
  Effect.gen(function*() {
    const { version }: { readonly version: string } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"))
    assert.strictEqual((yield* asked(["--version"])).trim(), `slackwater v${version}`)
  }))
