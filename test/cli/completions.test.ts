/** `slackwater completions`: the script, run by a real bash that is asked what may come next. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory, has, outcome, start } from "./process.ts"

/** What bash would offer behind these words; the last one is the beginning of a word, or empty. */
const offered = Effect.fnUntraced(function*(cwd: string, ...words: ReadonlyArray<string>) {
  const bash = yield* start("bash", ["--norc", "--noprofile", "asks.bash", "slackwater", ...words], { cwd })
  assert.strictEqual((yield* bash.ended).code, 0, bash.output)
  return bash.stdout.split("\n").filter((line) => line !== "")
})

/** Does what a Tab does, once the script is loaded. */
const asks = `
source completions.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=\${#COMP_LINE}
[[ $(complete -p slackwater) == *"-F _slackwater "* ]] || exit 1
_slackwater slackwater "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "\${COMPREPLY[@]}"
`

describe.skipIf(!has("bash"))("in bash", () => {
  for (const args of [["completions", "bash"], ["--completions", "bash"]]) {
    it.live(`the script of slackwater ${args.join(" ")} offers commands and flags`, () =>
      Effect.gen(function*() {
        const cwd = yield* directory
        const { code, stderr, stdout } = yield* outcome(args, { cwd })
        assert.deepStrictEqual([code, stderr], [0, ""])
        writeFileSync(join(cwd, "completions.bash"), stdout)
        writeFileSync(join(cwd, "asks.bash"), asks)
        assert.includeMembers([...(yield* offered(cwd, ""))], ["dev", "run", "status", "outbox", "completions"])
        assert.deepStrictEqual(yield* offered(cwd, "outb"), ["outbox"])
        assert.deepStrictEqual(yield* offered(cwd, "outbox", "re"), ["retry"])
        assert.deepStrictEqual(yield* offered(cwd, "outbox", "retry", "--dr"), ["--dry-run"])
        assert.deepStrictEqual(yield* offered(cwd, "completions", ""), ["bash", "zsh", "fish", "powershell"])
      }))
  }

  it.live("files are offered where files are meant", () =>
    Effect.gen(function*() {
      const cwd = yield* directory
      writeFileSync(join(cwd, "completions.bash"), (yield* outcome(["completions", "bash"], { cwd })).stdout)
      writeFileSync(join(cwd, "asks.bash"), asks)
      writeFileSync(join(cwd, "my-handler.ts"), "")
      assert.deepStrictEqual(yield* offered(cwd, "run", "my"), ["my-handler.ts"])
      assert.deepStrictEqual(yield* offered(cwd, "send", "--blocks", "my"), ["my-handler.ts"])
      assert.deepStrictEqual(yield* offered(cwd, "status", "my"), [])
    }))
})

for (const [shell, holds] of [["zsh", "#compdef slackwater"], ["fish", "complete -c slackwater"]] as const) {
  it.live(`there is one for ${shell}`, () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* outcome(["completions", shell], { cwd: yield* directory })
      assert.strictEqual(code, 0)
      assert.include(stdout, holds)
    }))
}

it.live("64 for another shell", () =>
  Effect.gen(function*() {
    const { code, stderr } = yield* outcome(["completions", "tcsh"], { cwd: yield* directory })
    assert.strictEqual(code, 64)
    assert.match(stderr, /Expected: "bash" .*; see slackwater completions --help\n$/)
  }))
