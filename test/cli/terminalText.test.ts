/** Text of strangers, as commands print it. */
import { assert, it } from "@effect/vitest"
import { cut, json, lines, oneLine, table } from "../../src/cli/terminalText.ts"

const esc = "\u001b"
const hostile = `${esc}[2J\u009b31m\u0007\u202egnp.exe\u200b${esc}]52;c;YQ==\u0007 \u{e0041}\u2028\ud800`

it("nothing that controls a terminal, turns the writing or hides is left in it", () => {
  const unseen = /[\p{C}\p{Zl}\p{Zp}]/u
  assert.match(hostile, unseen)
  for (const safe of [oneLine(hostile), ...lines(hostile), json({ hostile }), table(["A"], [[hostile]])]) {
    assert.notMatch(safe.replaceAll("\n", ""), unseen)
  }
  assert.include(oneLine(hostile), "\\u{1b}[2J\\u{9b}31m\\u{7}\\u{202e}gnp.exe")
})

it("JSON says the same value, controls and all", () => {
  assert.deepStrictEqual(JSON.parse(json({ hostile })), { hostile })
})

it("lines stay lines in a detail and become one in a table", () => {
  assert.deepStrictEqual(lines("a\r\nb\n\tc"), ["a", "b", "    c"])
  assert.strictEqual(oneLine("a\r\nb\n\tc"), "a b c")
  assert.strictEqual(table(["ID", "TEXT"], [["1", "a\nb"], ["22", "c"]]), "ID  TEXT\n1   a b\n22  c")
})

it("a long blank is read once, and not again from each of its characters", () => {
  assert.strictEqual(oneLine(`a${" ".repeat(1_000_000)}b \n c`).length, 1_000_004)
})

it("text is cut where its room ends, and wide characters take two columns", () => {
  assert.strictEqual(cut("abcdef", 6), "abcdef")
  assert.strictEqual(cut("abcdefg", 6), "abcde…")
  assert.strictEqual(cut("日本語だ", 6), "日本…")
  assert.strictEqual(cut("🎉🎉🎉🎉", 8), "🎉🎉🎉🎉")
  assert.strictEqual(cut("e\u0301e\u0301", 2), "e\u0301e\u0301")
})
