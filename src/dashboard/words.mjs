/** Numbers with their nouns, and text in one line. */

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** What there is of several parts, with commas between. @param {ReadonlyArray<string | false>} parts */
export const listed = (parts) => parts.filter((part) => part !== "" && part !== false).join(", ")

/** The beginning of a text, for a list. @param {string} text */
export const oneLine = (text) => {
  const line = text.replace(/\s+/g, " ").trim()
  return line === "" ? "(no text)" : line.length > 160 ? `${line.slice(0, 159)}…` : line
}
