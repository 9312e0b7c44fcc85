/** Cuts long text into parts that Slack shows whole. Parts joined are the text, and no character is cut in half. */
export const splitText = (text: string, limit = 4_000): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let from = 0
  while (text.length - from > limit) {
    const last = text.charCodeAt(from + limit - 1)
    const splitsPair = last >= 0xd800 && last <= 0xdbff
    const end = from + limit - (splitsPair && limit > 1 ? 1 : 0)
    parts.push(text.slice(from, end))
    from = end
  }
  parts.push(text.slice(from))
  return parts
}
