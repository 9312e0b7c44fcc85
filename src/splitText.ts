/**
 * Cuts a long text into parts that Slack takes as one message each. Pure, and linear in the length of the text.
 *
 * Slack shows at most 4,000 characters well (docs.slack.dev: `chat.postMessage`); what it counts is not documented, so
 * these are UTF-16 code units, the largest of the candidates. A cut falls behind a paragraph, else behind a line, else
 * behind a word, whichever is the last in the second half of the part. What stays whole: mentions, links and dates
 * (`<…>`), `:emoji:`, `&amp;`, `code` on one line, graphemes, and a fenced block that fits. One that does not fit is
 * cut behind lines; each part of it is closed and begins with the fence again, its language included. A fence is what
 * Slack takes for one: three backticks up to the next three, anywhere; one that is never closed is ordinary text.
 *
 * Last resort, for what is longer than a part: a word is cut between graphemes, and so is a link, a `code` span or a
 * line of a fenced block; a grapheme is cut between code points. Never inside a surrogate pair.
 *
 * The parts, joined, are the text again, but for the fence lines that were added and for white space that Slack would
 * trim anyhow: a part must not be blank, so what is left over at the end is left out, and so is what stands before a
 * part that has no room for both. All other white space stays at the end of the part that it ends. A blank text has no
 * parts. As Slack trims each message, the indentation of a line that begins a part is not shown, except in a fence.
 */
interface Span {
  readonly start: number
  readonly end: number
}

/** A fenced block that is longer than a part. */
interface Fence extends Span {
  /** What a later part begins with. */
  readonly reopening: string
  /** Where its content begins and ends, white space at both ends left out. */
  readonly ink: Span
}

/** A place to cut: behind the white space that begins at `from`, or inside of it where no more fits. */
interface Break {
  readonly from: number
  readonly at: number
  readonly strength: number
  readonly fence: Fence | undefined
}

const word = 1
const line = 2
const paragraph = 3

const smallestLimit = 16
const ticks = "```"
/** Room for what closes a fence: a line end and the backticks. */
const closingRoom = 1 + ticks.length

/** Runs that are longer belong to a drawing. */
const fenceRuns = /(?<!`)`{3,8}(?!`)/g
const fenceLine = /(?<=(?:^|\n)[ \t]{0,7})`+([\w.+#-]{0,32})[ \t]*\r?\n/y
/** What is one grapheme with a space before it. */
const mark = /[\p{Grapheme_Extend}\p{Mc}\p{Emoji_Modifier}\u200d]/u.source
const inkOrMarked = new RegExp(`\\S|\\p{Zs}(?=${mark})`, "gu")
/** What stays whole, and white space. No alternative reads over the next possible start of itself: linear. */
const pieces = new RegExp(
  [
    /<(?:[@#!]|[a-z][a-z0-9+.-]*:)[^<>\n]*>/,
    /`[^`\n]+`/,
    /:[\p{L}\p{N}_+'-]{1,100}:(?::skin-tone-[2-6]:)?/u,
    /&(?:[a-z]{1,10}|#\d{1,7});/
  ].map(({ source }) => source).concat(`\\s+(?:(?<=\\P{Zs})|(?!${mark}))`).join("|"),
  "giu"
)
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

const isLowSurrogate = (code: number) => code >= 0xdc00 && code <= 0xdfff

/** Where the grapheme that holds this place begins or, if that is not behind `from`, the code point. */
const boundary = (text: string, from: number, at: number): number => {
  const grapheme = graphemes.segment(text.slice(from, at + 2)).containing(at - from)
  if (grapheme !== undefined && grapheme.index > 0) return from + grapheme.index
  return isLowSurrogate(text.charCodeAt(at)) ? at - 1 : at
}

const inkFrom = (text: string, from: number): number => {
  inkOrMarked.lastIndex = from
  return inkOrMarked.exec(text)?.index ?? text.length
}

/** The text in pieces: what must stay whole, where it may be cut, and the fences that are longer than a part. */
class Anatomy {
  readonly tokens: Array<Span> = []
  readonly breaks: Array<Break> = []
  readonly fences: Array<Fence> = []
  private readonly text: string
  private readonly limit: number

  constructor(text: string, limit: number) {
    this.text = text
    this.limit = limit
    const runs = [...text.matchAll(fenceRuns)].map(({ 0: run, index }) => ({ start: index, end: index + run.length }))
    let read = 0
    for (let pair = 0; pair + 1 < runs.length; pair += 2) {
      const [opening, closing] = [runs[pair], runs[pair + 1]]
      if (opening === undefined || closing === undefined) break
      if (this.fence(read, opening, closing)) read = closing.end
    }
    this.read(read, text.length)
  }

  /** Takes a fenced block, and the text since the last one; false when it is blank, which is no block for Slack. */
  private fence(since: number, opening: Span, closing: Span): boolean {
    const { breaks, limit, text, tokens } = this
    fenceLine.lastIndex = opening.start
    const found = fenceLine.exec(text)
    const named = found !== null && found[0].length <= limit / 2 ? found : undefined
    const body = opening.start + (named?.[0].length ?? opening.end - opening.start)
    const content = text.slice(body, closing.start)
    if (content.trim() === "") return false
    this.read(since, opening.start)
    breaks.push({ from: opening.start, at: opening.start, strength: line, fence: undefined })
    if (closing.end - opening.start <= limit) tokens.push({ start: opening.start, end: closing.end })
    else {
      const ink = { start: inkFrom(text, body), end: body + content.trimEnd().length }
      const reopening = `${ticks}${named?.[1] ?? ""}\n`
      const fence = { start: opening.start, end: closing.end, reopening, ink }
      this.fences.push(fence)
      // Something of the content stays with either fence line.
      const first = ink.start + String.fromCodePoint(text.codePointAt(ink.start) ?? 0).length
      tokens.push({ start: fence.start, end: first - fence.start <= limit / 2 ? first : body })
      this.read(body, closing.start, fence)
      const last = boundary(text, Math.max(ink.start, ink.end - 64), ink.end - 1)
      tokens.push({ start: fence.end - last <= limit / 2 ? last : closing.start, end: fence.end })
    }
    breaks.push({ from: closing.end, at: closing.end, strength: word, fence: undefined })
    return true
  }

  private read(from: number, to: number, fence?: Fence): void {
    for (const { 0: piece, index } of this.text.slice(from, to).matchAll(pieces)) {
      const start = from + index
      if (piece.trim() !== "") {
        this.tokens.push({ start, end: start + piece.length })
        continue
      }
      const newline = piece.lastIndexOf("\n")
      const at = start + (newline === -1 ? piece.length : newline + 1)
      if (fence !== undefined && (start < fence.ink.start || at > fence.ink.end)) continue
      const strength = newline === -1 ? word : piece.indexOf("\n") === newline ? line : paragraph
      this.breaks.push({ from: start, at, strength, fence })
    }
  }
}

/** Goes through a text once, part by part: whatever ended before the present part is not looked at again. */
class Knife {
  private readonly text: string
  private readonly limit: number
  private readonly anatomy: Anatomy
  private at = 0
  private passed = { tokens: 0, breaks: 0, fences: 0 }

  constructor(text: string, limit: number) {
    this.text = text
    this.limit = limit
    this.anatomy = new Anatomy(text, limit)
  }

  /** The fence that a cut here would open. */
  private fenceAt(place: number): Fence | undefined {
    const { fences } = this.anatomy
    for (let n = this.passed.fences; n < fences.length; n++) {
      const fence = fences[n]
      if (fence === undefined || fence.start >= place) return undefined
      if (fence.end <= this.at) this.passed.fences = n + 1
      if (place < fence.end) return fence
    }
    return undefined
  }

  private tokenAt(place: number): Span | undefined {
    const { tokens } = this.anatomy
    for (let n = this.passed.tokens; n < tokens.length; n++) {
      const token = tokens[n]
      if (token === undefined || token.start >= place) return undefined
      if (token.end <= this.at && n === this.passed.tokens) this.passed.tokens = n + 1
      if (place < token.end) return token
    }
    return undefined
  }

  /** Behind a paragraph, a line or a word; something of what begins at `ink` comes before it. */
  private goodPlace(ink: number, room: number): number | undefined {
    const { at, limit, text } = this
    const { breaks } = this.anatomy
    let best: { readonly place: number; readonly strength: number } | undefined
    let early: number | undefined
    for (let n = this.passed.breaks; n < breaks.length; n++) {
      const candidate = breaks[n]
      if (candidate === undefined || candidate.from > at + room) break
      if (candidate.at <= at) {
        this.passed.breaks = n + 1
        continue
      }
      const { fence, from, strength } = candidate
      // Behind a line the closing backticks need no line end of their own.
      const end = at + room - (fence === undefined ? 0 : strength === word ? closingRoom : ticks.length)
      if (from > end || (fence !== undefined && candidate.at > end)) continue
      let place = Math.min(candidate.at, end)
      if (place > from && text[place - 1] === "\r" && text[place] === "\n") place -= 1
      if (place <= ink) continue
      if (place - at < limit / 2) early = place
      else if (best === undefined || strength >= best.strength) best = { place, strength }
    }
    return best?.place ?? early
  }

  /** Where nothing else is left: before what stays whole, else between graphemes. */
  private anyPlace(room: number): number {
    const { at, text } = this
    const end = at + room - (this.fenceAt(at + room) === undefined ? 0 : closingRoom)
    let place = boundary(text, at, end)
    let token = this.tokenAt(place)
    for (; token !== undefined && token.start > at; token = this.tokenAt(place)) place = token.start
    if (token !== undefined && token.end <= end) place = token.end
    // Behind the end of a line rather than before it: it takes no more room.
    return text[place] === "\n" && this.fenceAt(place) !== undefined ? place + 1 : place
  }

  /** The next part; undefined at the end. */
  next(): string | undefined {
    const { at, limit, text } = this
    const open = this.fenceAt(at)
    const ink = open === undefined ? inkFrom(text, at) : at
    if (ink === text.length) return undefined
    const reopening = open?.reopening ?? ""
    const room = limit - reopening.length
    if (text.length - at <= room) {
      this.at = text.length
      return reopening + text.slice(at)
    }
    const good = this.goodPlace(ink, room)
    if (good === undefined && ink > at) {
      this.at = ink
      return this.next()
    }
    this.at = good ?? this.anyPlace(room)
    const closing = this.fenceAt(this.at) === undefined ? "" : text[this.at - 1] === "\n" ? ticks : `\n${ticks}`
    return reopening + text.slice(at, this.at) + closing
  }
}

/** The parts of a text, each of at most `limit` (16 or more) UTF-16 code units and none of them blank. */
export const splitText = (text: string, limit = 4_000): ReadonlyArray<string> => {
  if (!Number.isInteger(limit) || limit < smallestLimit) {
    throw new RangeError(`a part has at least ${smallestLimit} characters, not ${limit}`)
  }
  if (text.trim() === "") return []
  if (text.length <= limit) return [text]
  const parts: Array<string> = []
  const knife = new Knife(text, limit)
  for (let part = knife.next(); part !== undefined; part = knife.next()) parts.push(part)
  return parts
}
