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

const any = (name: string, ...marks: ReadonlyArray<string>): Coincidence => ({
  name,
  reached: (seen) => marks.includes(seen)
})

export const coincidences: ReadonlyArray<Coincidence> = [
  marked("crash between the commit of a message and its ack", "crash:before ack"),
  marked("crash right after an ack", "crash:after ack"),
  marked("crash between send and record", "crash:after call"),
  marked("crash between the claim of a reply and its send", "crash:before call"),
  marked("crash between BEGIN and COMMIT", "crash:before commit"),
  marked("crash right after a COMMIT, before anybody heard of it", "crash:after commit"),
  marked("crash in the recovery of a crash", "crash:in recovery"),
  marked("crash while the gateway stops", "crash:while stopping"),
  marked("crash while a reload is pending", "crash:while reloading"),
  marked("crash between a finished step and the end of its turn", "crash:step kept"),
  marked("crash with several turns in flight", "crash:several turns"),
  marked("a poison message with neighbours in flight", "crash:poison beside others"),
  marked("a request of the dead takes effect when the next one lives", "call:of the dead"),
  marked("a post takes effect after its timeout, while it is looked for", "post:when unknown"),
  marked("twin while the first is handled", "twin:when processing"),
  marked("twin after the first is done", "twin:when done"),
  marked("repetition while the first is handled", "again:when processing"),
  marked("repetition after the first is done", "again:when done"),
  marked("an event arrives while two connections are open", "ack:on one of several connections"),
  marked("an ack is lost with its connection", "ack:lost with its connection"),
  marked("a stop while a turn runs", "stop:while a turn runs"),
  marked("a stop while a call is under way", "stop:while a call is under way"),
  marked("a stop within a quiet window", "stop:in a quiet window"),
  marked("a stop in the start", "stop:in the start"),
  marked("a reload while a turn runs", "reload:while a turn runs"),
  marked("a commit fails with several writes in it", "commit:fails with several"),
  marked("a row fails among others of its batch (poison in a batch)", "row:fails among others"),
  marked("the disk is full for a message", "full:messages"),
  marked("the disk is full for a turn", "full:turns"),
  marked("the disk is full for a reply", "full:outbox"),
  marked("the disk is full for a step", "full:steps"),
  marked("a reply's fate is unknown for longer than its lane waits", "reply:passed"),
  marked("what may have arrived is absent and sent again", "move:outbox unknown → failed_retryable"),
  marked("what may have arrived is found", "move:outbox unknown → delivered"),
  any("a conversation is full", "message:overflow"),
  marked("newer messages supersede a running turn", "move:turns running → superseded"),
  marked("a message joins a running turn", "message:adopted"),
  marked("a message that only the history tells of", "message:caught up"),
  marked("a process stands still beyond a request's timeout", "freeze:long"),
  marked("a pause while messages wait", "pause:while something waits"),
  marked("a deaf connection", "fault:deaf"),
  marked("the clock is set back while something waits", "clock:set back"),
  marked("the clock is set forward while something waits", "clock:set forward")
]
