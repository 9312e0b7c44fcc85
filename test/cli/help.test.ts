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
    for (const command of ["dev", "run", "send", "inbox", "outbox", "import", "healthcheck"]) {
      assert.match(help, new RegExp(`^ +${command} +\\w`, "m"))
    }
    assert.strictEqual(yield* asked(["--help"]), help)
    assert.strictEqual(yield* asked(["-h"]), help)
  }))

it.live("every command has its help", () =>
  Effect.gen(function*() {
    const takes = [["dev", "handler"], ["run", "handler"], ["send", "--channel"], ["import", "dir"], [
      "healthcheck",
      "--max-age"
    ]] as const
    for (const [command, what] of takes) {
      const help = yield* asked([command, "--help"])
      assert.match(help, new RegExp(`slackwater ${command} `))
      assert.include(help, what)
    }
  }))

it.live("every command of the outbox has its help, which names its states and flags", () =>
  Effect.gen(function*() {
    const help = yield* asked(["outbox"])
    for (const command of ["list", "show", "retry", "discard"]) {
      assert.match(help, new RegExp(`^ +${command} +\\w`, "m"))
    }
    const takes = [
      ["list", "--state", "--channel", "--after", "--limit", "--json", "delivered"],
      ["show", "<id>", "--json"],
      ["retry", "<id...>", "--state", "--yes", "--dry-run", "--json", "slackwater outbox retry --state expired"],
      ["discard", "<id...>", "--state", "--yes", "--dry-run", "--json", "failed_retryable"]
    ] as const
    for (const [command, ...what] of takes) {
      const help = yield* asked(["outbox", command, "--help"])
      assert.include(help, `slackwater outbox ${command} `)
      for (const part of what) assert.include(help, part)
    }
  }))

it.live("every command of the inbox has its help, which names its states and flags", () =>
  Effect.gen(function*() {
    const help = yield* asked(["inbox"])
    for (const command of ["list", "show", "retry", "discard"]) {
      assert.match(help, new RegExp(`^ +${command} +\\w`, "m"))
    }
    const narrowing = ["--channel", "--conversation", "--reason", "--older-than", "--newer-than", "--json"]
    const takes = [
      ["list", "--state", ...narrowing, "--before", "--limit", "processing"],
      ["show", "<id>", "--json"],
      ["retry", "<id...>", "--state", ...narrowing, "--yes", "--dry-run", "failed, ignored"],
      ["discard", "<id...>", "--state", ...narrowing, "--yes", "--dry-run", "failed, queued"]
    ] as const
    for (const [command, ...what] of takes) {
      const help = yield* asked(["inbox", command, "--help"])
      assert.include(help, `slackwater inbox ${command} `)
      for (const part of what) assert.include(help, part)
    }
  }))

it.live("--version is the version of the package", () =>
  Effect.gen(function*() {
    const { version }: { readonly version: string } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"))
    assert.strictEqual((yield* asked(["--version"])).trim(), `slackwater v${version}`)
  }))
