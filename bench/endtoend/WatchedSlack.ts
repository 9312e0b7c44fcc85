/**
 * A LocalSlack with a stop-watch: says something in a conversation, and notes when the event was on the socket, when its
 * ack came and when the answer was posted.
 *
 * Stands in a process of its own, apart from the bot that it talks to, so that neither pays for the other. No fault is on:
 * no rate limit, no delay, no drop; what it sent a second time is counted, since then a time means something else.
 * It has as many people as asked for, each with a direct message: a conversation is one of these. Of each the newest messages
 * are kept, so that it does not grow.
 */
import { Effect, ManagedRuntime } from "effect"
import process from "node:process"
import { LocalSlack } from "../../src/testing/index.ts"

const messagesKept = 20
/** An answer that takes longer is none. */
const patienceMs = 300_000

/** In ms of `performance.now()`. */
export interface Life {
  readonly sent: number
  readonly acked: number
  readonly answered: number
}

interface Open {
  /** `channel/ts` of what was said, as soon as its event was sent. */
  about?: string
  sent: number
  acked: number
  answered: number
  readonly end: (life: Life) => void
}

export interface WatchedSlack {
  readonly apiUrl: string
  /** Says something there and waits for the answer and the ack. One at a time for a conversation. */
  readonly ask: (conversation: number) => Promise<Life>
  /** Waits until somebody is connected. */
  readonly connected: () => Promise<void>
  /** Events that were sent a second time. */
  readonly repeated: () => number
  /** Calls of the Web API that were not answered with ok. */
  readonly refused: () => number
  readonly calls: () => ReadonlyMap<string, number>
  /** Microseconds of processor time so far. */
  readonly cpu: () => number
  readonly close: () => Promise<void>
}

const text = "How do I put a message where no crash can take it? Asking for a friend who runs a bot."

export const watchedSlack = async (
  { conversations, echoes }: { readonly conversations: number; readonly echoes: boolean }
): Promise<WatchedSlack> => {
  const people = Array.from({ length: conversations }, (_, n) => `U0P${n}`)
  const runtime = ManagedRuntime.make(
    LocalSlack.layer({ people, messagesKept, journalLimit: 1_000, faults: { echoes } })
  )
  const slack = await runtime.runPromise(LocalSlack)
  const open = new Map<string, Open>()
  const calls = new Map<string, number>()
  let repeated = 0
  let refused = 0

  const ended = (channel: string, one: Open) => {
    if (one.acked === 0 || one.answered === 0) return
    open.delete(channel)
    one.end(one)
  }
  // The journal is told as it happens; a predicate that never holds sees all of it.
  runtime.runFork(slack.awaitJournal((entry) => {
    if (entry._tag === "ApiCall") {
      calls.set(entry.method, (calls.get(entry.method) ?? 0) + 1)
      if (!entry.ok) refused++
    } else if (entry._tag === "EnvelopeSent" || entry._tag === "AckReceived") {
      if (entry._tag === "EnvelopeSent" && entry.attempt > 0) repeated++
      const channel = entry.about?.slice(0, entry.about.indexOf("/")) ?? ""
      const one = open.get(channel)
      if (one === undefined || entry.about === undefined) return false
      if (entry._tag === "EnvelopeSent") {
        if (one.about !== undefined) return false
        one.about = entry.about
        one.sent = performance.now()
      } else if (one.about === entry.about && one.acked === 0) {
        one.acked = performance.now()
        ended(channel, one)
      }
    } else if (entry._tag === "MessagePosted" && entry.by === "U0BOT") {
      const one = open.get(entry.channel)
      if (one === undefined) return false
      one.answered = performance.now()
      ended(entry.channel, one)
    }
    return false
  }))

  return {
    apiUrl: slack.apiUrl,
    ask: (conversation) =>
      new Promise((resolve, reject) => {
        const channel = `D0P${conversation}`
        const tooLong = setTimeout(() => reject(new Error(`no answer in ${channel}`)), patienceMs)
        const end = (life: Life) => {
          clearTimeout(tooLong)
          resolve(life)
        }
        open.set(channel, { sent: 0, acked: 0, answered: 0, end })
        Effect.runSync(slack.say({ channel, user: `U0P${conversation}`, text }))
      }),
    connected: () =>
      runtime.runPromise(
        Effect.asVoid(slack.awaitJournal((entry) => entry._tag === "ConnectionOpened"))
      ),
    repeated: () => repeated,
    refused: () => refused,
    calls: () => calls,
    cpu: () => {
      const { system, user } = process.cpuUsage()
      return system + user
    },
    close: () => runtime.dispose()
  }
}
