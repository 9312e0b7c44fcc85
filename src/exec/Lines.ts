/**
 * Bytes to lines, in bounded memory: what is longer than the limit is reported at once, and not when it ends.
 */

/** Cuts what comes into lines; a last one without its line break comes with `rest`. */
export const makeLineCutter = (limit: number) => {
  const decoder = new TextDecoder()
  let begun = ""
  return {
    /** The lines that this ends. */
    push: (bytes: Uint8Array): ReadonlyArray<string> => {
      const parts = (begun + decoder.decode(bytes, { stream: true })).split("\n")
      begun = parts.pop() ?? ""
      return parts.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line)
    },
    /** The line that has not ended is longer than any may be. */
    isTooLong: () => begun.length > limit,
    /** Forgets what it has of a line that is too long, and answers its beginning. */
    drop: (): string => {
      const dropped = begun.slice(0, limit)
      begun = ""
      return dropped
    },
    rest: (): string => {
      const last = begun + decoder.decode()
      begun = ""
      return last
    }
  }
}
