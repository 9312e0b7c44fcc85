/**
 * What the command line says when it is asked. The help of every command is kept in `help/`, so that a change of it is
 * seen; `npx vitest run test/cli/help.test.ts -u` takes a new one.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Completions } from "effect/cli"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { answers } from "../../src/cli/answers.ts"
import { described } from "../../src/cli/main.ts"
import { checkout, contents, directory, outcome } from "./process.ts"

const asked = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const cwd = yield* directory
  const { stdout, ...rest } = yield* outcome(args, { cwd })
  assert.deepStrictEqual(rest, { code: 0, signal: null, stderr: "" })
  assert.deepStrictEqual(contents(cwd), {})
  return stdout
})

interface Described {
  readonly path: ReadonlyArray<string>
  readonly command: Completions.CommandDescriptor
}

/** Every command, with those that stand behind it. */
const commandsIn = (command: Completions.CommandDescriptor, path: ReadonlyArray<string>): ReadonlyArray<Described> => [
  { path, command },
  ...command.subcommands.flatMap((below) => commandsIn(below, [...path, below.name]))
]
const commands = commandsIn(described(), [])
const fileOf = (path: ReadonlyArray<string>) => `${["slackwater", ...path].join("-")}.txt`

describe("--help", () => {
  for (const { path } of commands) {
    it.live(`of ${["slackwater", ...path].join(" ")}`, () =>
      Effect.gen(function*() {
        const help = yield* asked([...path, "--help"])
        yield* Effect.promise(() => expect(help).toMatchFileSnapshot(`help/${fileOf(path)}`))
      }))
  }

  it("is kept of no command that is gone", () => {
    const kept = new Set(commands.map(({ path }) => fileOf(path)))
    assert.deepStrictEqual(readdirSync(join(import.meta.dirname, "help")).filter((name) => !kept.has(name)), [])
  })
})

it.live("slackwater alone shows the help, and so does -h", () =>
  Effect.gen(function*() {
    const help = yield* asked(["--help"])
    assert.strictEqual(yield* asked([]), help)
    assert.strictEqual(yield* asked(["-h"]), help)
  }))

it("whatever is printed with --json has a schema", () => {
  const printing = commands.filter(({ command }) => command.flags.some(({ name }) => name === "json"))
  assert.sameMembers(Object.keys(answers), printing.map(({ path }) => path.join(" ")))
})

it.live("--version is the version of the package", () =>
  Effect.gen(function*() {
    const { version }: { readonly version: string } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"))
    assert.strictEqual((yield* asked(["--version"])).trim(), `slackwater v${version}`)
  }))
