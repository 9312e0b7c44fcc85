/**
 * Text of strangers on a terminal, in which nothing is obeyed: what controls a terminal, turns the direction of writing
 * or cannot be seen is written out. And tables that fit.
 */

/** Controls, marks of direction, what is unassigned, halves of a character, separators of lines. */
const unseen = /[\p{C}\p{Zl}\p{Zp}]/gu

const code = (character: string) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/** One line. */
export const oneLine = (text: string): string =>
  text.replaceAll(/\s+/g, (blank) => /[\r\n\t]/.test(blank) ? " " : blank).replaceAll(unseen, code)

/** Its own lines, each of them safe. */
export const lines = (text: string): ReadonlyArray<string> =>
  text.split(/\r?\n/).map((line) => line.replaceAll("\t", "    ").replaceAll(unseen, code))

/** JSON that is as safe: the same value, for whoever reads it. */
export const json = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    unseen,
    (character) =>
      Array.from({ length: character.length }, (_, index) =>
        `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`).join("")
  )

const wide =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff01-\uff60]/u

/** Columns on a terminal, or about that. */
const widthOf = (text: string): number => {
  let width = 0
  for (const character of text) width += /\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1
  return width
}

/** As much of it as has room. */
export const cut = (text: string, room: number): string => {
  if (widthOf(text) <= room) return text
  let kept = ""
  let width = 1
  for (const character of text) {
    width += widthOf(character)
    if (width > room) break
    kept += character
  }
  return `${kept}…`
}

/** How wide a table may be. */
export const columns = (): number => process.stdout.columns ?? 120

/** The last column has what room is left, and at least this; no other has more than this. */
const leastRoom = 12
const mostRoom = 20

/** A head and rows, one line each; the last column is cut where it does not fit. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const all = [
    head,
    ...rows.map((row) =>
      row.map((cell, column) => column < head.length - 1 ? cut(oneLine(cell), mostRoom) : oneLine(cell))
    )
  ]
  const widths = head.slice(0, -1).map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ""))))
  const room = Math.max(leastRoom, columns() - widths.reduce((sum, width) => sum + width + 2, 0))
  return all.map((row) =>
    row.map((cell, column) => {
      const width = widths[column]
      return width === undefined ? cut(cell, room) : cell + " ".repeat(width - widthOf(cell))
    }).join("  ").trimEnd()
  ).join("\n")
}
