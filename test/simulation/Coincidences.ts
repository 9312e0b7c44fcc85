/**
 * The coincidences that cost others messages, each of which the histories must reach: at least once in a thousand seeds.
 *
 * A history marks what it sees; here stands which mark is which danger, and what could go wrong then.
 */
export interface Coincidence {
  readonly name: string
  readonly reached: (mark: string) => boolean
}

const marked = (name: string, mark: string): Coincidence => ({ name, reached: (seen) => seen === mark })

export const coincidences: ReadonlyArray<Coincidence> = [
  marked("crash between the commit of a message and its ack", "crash:before ack"),
  marked("crash right after an ack", "crash:after ack"),
  marked("crash between send and record", "crash:after call"),
  marked("crash between the claim of a reply and its send", "crash:before call"),
  marked("crash between BEGIN and COMMIT", "crash:before commit"),
  marked("crash right after a COMMIT", "crash:after commit"),
  marked("crash in the recovery of a crash", "crash:in recovery"),
  marked("crash while the gateway stops", "crash:while stopping"),
  marked("crash between a finished step and the end of its turn", "crash:step kept")
]
