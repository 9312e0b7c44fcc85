/** Long texts in parts: each fits, nothing is lost, and what belongs together stays together. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Arbitrary from "effect/Arbitrary"
import { vi } from "vitest"
import { splitText } from "../src/splitText.ts"

const times = (count: number, text: string) => text.repeat(count)

/** The fenced blocks that are longer than a part: from three backticks to the next three. */
const longFences = (text: string, limit: number) => {
  const runs = [...text.matchAll(/`+/g)].filter(({ 0: run }) => run.length >= 3 && run.length <= 8)
  return runs.flatMap((opening, n) => {
    const closing = runs[n + 1]
    if (n % 2 === 1 || closing === undefined) return []
    const end = closing.index + closing[0].length
    const body = text.slice(opening.index + opening[0].length, closing.index)
    const first = /^[\w.+#-]{0,32}[ \t]*\r?\n/.exec(body)?.[0].length ?? 0
    const isLine = /(^|\n)[ \t]{0,7}$/.test(text.slice(0, opening.index)) && opening[0].length + first <= limit / 2
    const content = body.slice(isLine ? first : 0)
    return content.trim() === "" || end - opening.index <= limit ? [] : [{ start: opening.index, end }]
  })
}

/**
 * The parts as one text. A part that begins inside of a long fence loses its first line (the fence again); one that
 * ends inside loses the backticks at its end and, unless they follow a line end of the text, the one before them. Before
 * a part, white space may be missing.
 */
const joined = (parts: ReadonlyArray<string>, text: string, limit: number): string => {
  const fences = longFences(text, limit)
  const inside = (place: number) => fences.some(({ end, start }) => start < place && place < end)
  let at = 0
  let all = ""
  for (const part of parts) {
    const isReopened = inside(at)
    if (isReopened) assert.match(part, /^```[\w.+#-]{0,32}\n/)
    const body = isReopened ? part.slice(part.indexOf("\n") + 1) : part
    const fits = (taken: string, place: number) =>
      text.startsWith(taken, place) && inside(place + taken.length) === (taken !== body)
    const space = isReopened ? 0 : /^\s*/.exec(text.slice(at))?.[0].length ?? 0
    // A space that carries a mark is not left out.
    const places = [at, at + space, at + space - 1]
    const found = places.flatMap((place) =>
      [body, body.replace(/(?<=\n)```$/, ""), body.replace(/\n```$/, "")]
        .filter((taken) => fits(taken, place))
        .map((taken) => ({ place, taken }))
    )[0]
    assert.isDefined(found, `not what comes next: ${JSON.stringify(part)}`)
    all += found?.taken
    at = (found?.place ?? 0) + (found?.taken.length ?? 0)
  }
  assert.strictEqual(text.slice(at).trim(), "", "the end is missing")
  return all
}

const loneSurrogates = /(?<![\ud800-\udbff])[\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])/

/** What must hold for any text. */
const check = (text: string, limit: number) => {
  const parts = splitText(text, limit)
  for (const part of parts) {
    assert.isAtMost(part.length, limit)
    assert.notStrictEqual(part.trim(), "", "a blank part")
    assert.notMatch(part, loneSurrogates)
  }
  const again = joined(parts, text, limit)
  // With room for everything nothing is missing but the end.
  const stretches = text.match(/\s+|(?:<[^<>\n]*>|```[\s\S]*?```|`[^`\n]+`|\S)+/g) ?? []
  if (stretches.every((stretch) => stretch.length <= limit / 2 && !/^\p{M}/u.test(stretch))) {
    assert.strictEqual(again.trimEnd(), text.trimEnd())
  }
  assert.strictEqual(again.replaceAll(/\s+/g, ""), text.replaceAll(/\s+/g, ""))
  return parts
}

describe("where a text is cut", () => {
  it("nowhere, while it fits", () => {
    const text = times(4_000, "x")
    assert.deepStrictEqual(splitText(text), [text])
    assert.strictEqual(splitText(`${text}y`).length, 2)
  })

  it("behind the last paragraph that fits, rather than behind a later line or word", () => {
    const [first, second, third] = [times(12, "one "), times(12, "two "), times(12, "six ")]
    const text = `${first}\n\n${second}\n${third}`
    assert.deepStrictEqual(splitText(text, 100), [`${first}\n\n`, `${second}\n${third}`])
  })

  it("behind the last line, where no paragraph ends in the second half", () => {
    const text = `a\n\n${times(40, "b")}\n${times(40, "c")}\n${times(40, "d")}`
    assert.deepStrictEqual(splitText(text, 100), [
      `a\n\n${times(40, "b")}\n${times(40, "c")}\n`,
      times(40, "d")
    ])
  })

  it("behind the last word, where no line ends", () => {
    assert.deepStrictEqual(splitText(times(30, "word "), 100), [times(20, "word "), times(10, "word ")])
  })

  it("before a long word that fits into a part of its own", () => {
    assert.deepStrictEqual(splitText(`a b ${times(100, "x")}`, 100), ["a b ", times(100, "x")])
  })

  it("inside a word that fits nowhere", () => {
    assert.deepStrictEqual(splitText(times(10_000, "x")).map(({ length }) => length), [4_000, 4_000, 2_000])
  })

  it("between graphemes", () => {
    const family = "👩‍👩‍👧‍👦"
    for (const part of check(times(40, family), 100)) assert.strictEqual(part.length % family.length, 0)
    for (const part of check(times(100, "e\u0301"), 99)) assert.match(part, /^(e\u0301)+$/)
    for (const part of check(times(100, "🇩🇪"), 98)) assert.strictEqual(part.length % 4, 0)
    for (const part of check(times(80, " \u0301"), 99)) assert.match(part, /^( \u0301)+$/)
    for (const part of check(times(60, "\r\n").replaceAll("\n\r", "\nx\r"), 100)) assert.notMatch(part, /\r$|^\n/)
  })

  it("inside of a grapheme that fits nowhere, but not of a character", () => {
    check(`a${times(300, "\u0301")}`, 100)
    check(`a${times(300, "\u{1e8d0}")}`, 101)
  })

  it("never so that a part is blank, since Slack takes none", () => {
    assert.deepStrictEqual(splitText(times(500, " "), 100), [])
    assert.deepStrictEqual(splitText(""), [])
    const text = `a${times(500, " ")}b${times(500, "\n")}`
    assert.deepStrictEqual(splitText(text, 100), [`a${times(99, " ")}`, `b${times(99, "\n")}`])
  })

  it("but not with a limit that leaves no room", () => {
    for (const limit of [15, 0, -1, Number.NaN, 20.5]) assert.throws(() => splitText("x", limit), RangeError)
  })
})

describe("a token", () => {
  const tokens = [
    "<@U0ALICE>",
    "<#C0GENERAL|the general channel>",
    "<https://example.org/a?b=c&amp;d=e|a label of words>",
    "<mailto:bob@example.org|Bob>",
    "<!here>",
    "<!subteam^S012|@on call>",
    "<!date^1392734382^{date} at {time}|yesterday at noon>",
    ":white_check_mark:",
    ":wave::skin-tone-3:",
    ":ありがとう:",
    "&amp;",
    "&lt;",
    "`some code in a line`"
  ]
  for (const token of tokens) {
    it(`stays whole: ${token}`, () => {
      for (let before = 0; before <= token.length; before++) {
        const parts = check(`${times(100 - before, "x")}${token}${times(80, "y")}`, 100)
        assert.isTrue(parts.some((part) => part.includes(token)), JSON.stringify(parts))
      }
    })
  }

  it("is cut where it is a link longer than a part", () => {
    assert.strictEqual(check(`<https://example.org/${times(300, "x")}|label>`, 100).length, 4)
  })
})

describe("a fenced block", () => {
  const code = (lines: number) => times(lines, "const x = 1\n")

  it("that fits stays whole, on its own if need be", () => {
    const block = `\`\`\`ts\n${code(6)}\`\`\``
    assert.deepStrictEqual(splitText(`${times(10, "word ")}\n${block}\nand so on`, 100), [
      `${times(10, "word ")}\n`,
      `${block}\nand so on`
    ])
  })

  it("that does not fit is cut behind lines, closed, and opened again with its language", () => {
    assert.deepStrictEqual(splitText(`\`\`\`ts\n${code(16)}\`\`\`\nthat was it`, 100), [
      `\`\`\`ts\n${code(7)}\`\`\``,
      `\`\`\`ts\n${code(7)}\`\`\``,
      `\`\`\`ts\n${code(2)}\`\`\`\nthat was it`
    ])
  })

  it("keeps the indentation of its lines", () => {
    const text = `\`\`\`\n${times(30, "    indented\n")}\`\`\``
    for (const part of check(text, 100)) assert.match(part, /^```\n( {4}indented\n)+```$/)
  })

  it("is not opened again with a first line that is code", () => {
    const parts = check(`\`\`\`let first = 1\n${code(16)}\`\`\``, 100)
    assert.isTrue(parts.slice(1).every((part) => part.startsWith("```\nconst")), JSON.stringify(parts))
  })

  it("has something in each of its parts", () => {
    for (let before = 0; before < 120; before++) {
      const parts = check(`${times(before, "x")}\n\`\`\`ts\n${times(170, "y")}\n\n\`\`\`\n${times(90, "z")}`, 100)
      for (const part of parts) assert.notMatch(part, /```(ts)?\s*```/)
    }
  })

  it("that is never closed is ordinary text, as Slack shows it", () => {
    const parts = check(`\`\`\`ts\n${code(16)}`, 100)
    assert.strictEqual(parts.join("").split("```").length, 2)
  })

  it("with a line that is too long is cut inside of it", () => {
    for (const part of check(`\`\`\`\n${times(500, "x")}\n\`\`\``, 100)) {
      assert.match(part, /^```\nx+\n```$/)
    }
  })

  it("does not keep a mention or an escape from staying whole", () => {
    const parts = check(`\`\`\`\n${times(60, "a&lt;<@U0ALICE>b")}\n\`\`\``, 100)
    for (const part of parts) assert.notMatch(part.replaceAll(/&lt;|<@U0ALICE>/g, ""), /[&<>;@]/)
  })
})

const below = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const samples = [
  ["x", "word", "Wörter", "日本語のテキスト", "1990"],
  [" ", " ", "  ", "\t", "\u00a0", " \u0301"],
  ["\n", "\n\n", "\r\n", "\n  ", "\n\n\n"],
  ["👩‍👩‍👧‍👦", "🇩🇪", "e\u0301", "👍🏽", "𝒳", "\u{1e8d0}", "가"],
  ["<@U0ALICE>", "<#C0|a b>", "<https://example.org/x y|a label>", "<!here>", ":smile:", ":+1::skin-tone-2:", "&amp;"],
  ["`a b`", "`", "``", "<", ">", "<@", "<https://x", "&", "&am", ":", ":x", "|"],
  ["```", "```ts\n", "\n```\n", "```\n", "````", "``````````", "\n```c++ \r\n"]
]
const Pieces = Schema.Array(Schema.Struct({ kind: below(samples.length - 1), which: below(9), times: below(11) }))
const texts = Arbitrary.map(
  Arbitrary.schema(Pieces.check(Schema.isMaxLength(60))),
  (pieces) =>
    pieces.map(({ kind, times: again, which }) => {
      const some = samples[kind] ?? []
      // Most once, some in a row.
      return times(again > 9 ? again * 7 : again > 7 ? again : 1, some[which % some.length] ?? "")
    }).join("")
)
const limits = Schema.Literals([16, 17, 24, 40, 64, 100, 301])

describe("any text", () => {
  it.prop("comes back from its parts, of which each fits and says something", [texts, limits], ([text, limit]) => {
    check(text, limit)
  }, { arbitrary: { runs: 4_000, size: 60 }, timeout: 60_000 })

  it.prop("of any characters comes back too", [Schema.Array(below(0x10ffff)), limits], ([codes, limit]) => {
    const scalars = codes.filter((code) => code < 0xd800 || code > 0xdfff)
    check(times(3, String.fromCodePoint(...scalars)), limit)
  }, { arbitrary: { runs: 2_000, size: 200 }, timeout: 60_000 })

  const whole = /<(?:[@#!]|[a-z]+:)[^<>\n]*>|`[^`\n]+`|:[a-z_+\d]+:(?::skin-tone-\d:)?|&amp;/g
  const calm = samples.with(1, [" ", "  "]).with(3, ["👩‍👩‍👧‍👦", "🇩🇪", "e\u0301", "👍🏽", "𝒳"]).with(5, ["`a b`"]).with(6, [
    "<@U1>"
  ])
  it.prop("keeps its tokens and graphemes whole", [Pieces, Schema.Literals([64, 100])], ([pieces, limit]) => {
    const text = pieces.map(({ kind, times: again, which }) => {
      const some = calm[kind] ?? []
      return times(again > 8 ? again : 1, some[which % some.length] ?? "")
    }).join("")
    const parts = check(text, limit)
    const tokens = (some: ReadonlyArray<string>) => some.flatMap((one) => one.match(whole) ?? [])
    assert.deepStrictEqual(tokens(parts), tokens([text]))
    const count = (some: string) => [...new Intl.Segmenter().segment(some.replaceAll(/\s+/g, ""))].length
    assert.strictEqual(parts.reduce((sum, part) => sum + count(part), 0), count(text))
  }, { arbitrary: { runs: 2_000, size: 60 }, timeout: 60_000 })
})

describe("a megabyte", () => {
  const size = 1_000_000
  const megabyte = (text: string) => times(Math.ceil(size / text.length), text)
  const hostile = [
    "x",
    " ",
    "\n",
    "x ",
    "x\n",
    "<@",
    "<https://",
    "<",
    ":x",
    ":",
    "&",
    "&amp",
    "`",
    "`x",
    "```",
    "``` ",
    "```\nx\n",
    "```x```",
    "\u0301",
    " \u0301",
    "👩‍",
    "🇩",
    "<@U1>",
    ":x:",
    "`a`\n",
    "\ud83d",
    "a\r\n\r\n"
  ]
  // Anything quadratic would take minutes here, and end in a timeout.
  for (const text of hostile) {
    it(`of ${JSON.stringify(text)} is cut`, () => {
      const parts = splitText(megabyte(text))
      for (const part of parts) assert.isAtMost(part.length, 4_000)
      assert.isAtMost(parts.length, 3 * size / 4_000)
      assert.isNotEmpty(splitText(megabyte(`${text}x`), 16).filter((part) => part.length <= 16))
    })
  }

  it("costs twice what half of it costs", () => {
    /** Characters that were looked at or copied, and places that were asked for. */
    const work = (text: string) => {
      let done = 0
      const { slice } = String.prototype
      const { segment } = Intl.Segmenter.prototype
      const slices = vi.spyOn(String.prototype, "slice").mockImplementation(function(this: string, ...given) {
        const result = slice.apply(this, given)
        done += 1 + result.length
        return result
      })
      const segments = vi.spyOn(Intl.Segmenter.prototype, "segment").mockImplementation(
        function(this: Intl.Segmenter, input) {
          done += input.length
          return segment.call(this, input)
        }
      )
      try {
        splitText(text)
      } finally {
        slices.mockRestore()
        segments.mockRestore()
      }
      return done
    }
    for (const text of ["x", "word ", "<@U1>", "```\nx\n", "`a` :b: &amp;\n\n", "e\u0301"]) {
      const [half, all] = [work(megabyte(text).slice(0, size / 2)), work(megabyte(text))]
      assert.isAtMost(all, 2.2 * half, JSON.stringify(text))
      assert.isAtMost(all, 8 * size, JSON.stringify(text))
    }
  })
})
