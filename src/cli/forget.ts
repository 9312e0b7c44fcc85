/**
 * `slackwater forget --user U… | --channel C…`: erases what is stored about a person or of a channel, beside a running
 * gateway or without one.
 *
 * Guarantees, also after `kill -9`: the same command finishes what it began. What belongs to a turn that has not ended is
 * left and named, and so is a reply that is being sent; then the command fails, and is to be repeated.
 */
import { Clock, Console, Effect, Option, Runtime, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { removeFrom } from "../files/Spool.ts"
import { isPlace } from "../slackIds.ts"
import { emptyWal, forget as erase, type Forgotten } from "../sql/forget.ts"
import { type Plan, planOf, type Who } from "../sql/forgetPlan.ts"
import { commandSettings, onDatabase } from "./besideGateway.ts"
import { confirm, NotConfirmed, somebodyToAsk } from "./confirm.ts"
import { noProgress, progress } from "./progress.ts"
import * as rowFlags from "./rowFlags.ts"
import { json as jsonText } from "./terminalText.ts"
import { UsageError } from "./usage.ts"

/** What `forget --json` prints; fields may be added, never changed. */
export const ForgetReport = Schema.Struct({
  user: Schema.NullOr(Schema.String),
  channel: Schema.NullOr(Schema.String),
  dryRun: Schema.Boolean,
  messages: Schema.Int,
  replies: Schema.Int,
  /** Conversations whose `turn.state` was erased. */
  states: Schema.Int,
  /** Keys of which only the hash remains. */
  keys: Schema.Int,
  files: Schema.Int,
  /** The old pages are out of the database's WAL; null where nothing was erased. */
  walEmptied: Schema.NullOr(Schema.Boolean),
  /** What was in use: to be repeated. */
  left: Schema.Struct({ turns: Schema.Array(Schema.String), replies: Schema.Array(Schema.Int) })
})
export type ForgetReport = typeof ForgetReport.Type

export class NotAllForgotten extends Schema.TaggedError<NotAllForgotten>()("NotAllForgotten", {
  turns: Schema.Array(Schema.String),
  replies: Schema.Number,
  walEmptied: Schema.Boolean
}) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    const turns = this.turns.length === 0 ? [] : [
      `${this.turns.length === 1 ? "a turn has" : `${this.turns.length} turns have`} not ended (${
        this.turns.slice(0, 5).join(", ")
      }${
        this.turns.length > 5 ? ", …" : ""
      }): what belongs to it is still there; repeat the command when it has ended, or end it with slackwater cancel`
    ]
    const replies = this.replies === 0 ? [] : ["replies are being sent; repeat the command"]
    const wal = this.walEmptied ? [] : ["the WAL is in use and may hold old pages; repeat the command"]
    return [...turns, ...replies, ...wal].join("; ")
  }
}

const whoIs = Effect.fnUntraced(function*(given: {
  readonly user: Option.Option<string>
  readonly channel: Option.Option<string>
}) {
  const mistake = (detail: string) => new UsageError({ command: "forget", detail })
  const user = Option.getOrUndefined(given.user)
  const channel = Option.getOrUndefined(given.channel)
  if ((user === undefined) === (channel === undefined)) return yield* mistake("give either --user or --channel")
  if (user !== undefined && !(isPlace(user) && /^[UW]/.test(user))) {
    return yield* mistake(`--user is "${user}", and must be the id of a person like U0123ABCD`)
  }
  if (channel !== undefined && !(isPlace(channel) && /^[CDG]/.test(channel))) {
    return yield* mistake(`--channel is "${channel}", and must be an id like C0123ABCD or D0123ABCD`)
  }
  return (user === undefined ? { channel: channel ?? "" } : { user }) satisfies Who
})

const several = (count: number, one: string, more = `${one}s`) => `${count} ${count === 1 ? one : more}`

const amountOf = ({ files, keys, messages, replies, states }: Omit<ForgetReport, "left">) =>
  `${several(messages, "message")}, ${several(replies, "reply", "replies")}, the state of ${
    several(states, "conversation")
  }${files === 0 ? "" : `, ${several(files, "file")}`}; ${several(keys, "key")} to a hash`

const foreseen = (plan: Plan) => ({
  messages: plan.messages.size,
  replies: plan.replies.length,
  states: plan.states.length,
  keys: plan.keys.length
})

const telling = (total: number) => {
  const tell = progress("forgetting", "rows")
  let done = 0
  return (rows: number) => tell(done += rows, total)
}

const nothing: Omit<Forgotten, "turns"> = { messages: 0, replies: 0, states: 0, keys: 0, files: [], left: [] }
const isEmpty = (plan: Plan) =>
  plan.messages.size + plan.replies.length + plan.states.length + plan.keys.length + plan.turns.length === 0

export const forget = Command.make(
  "forget",
  {
    user: Flag.String("user").pipe(
      Flag.withDescription("A person, by id: what they said anywhere, their direct messages, and what was answered"),
      Flag.optional
    ),
    channel: Flag.String("channel").pipe(
      Flag.withDescription("A channel or direct message, by id: everything in it"),
      Flag.optional
    ),
    dryRun: rowFlags.dryRun,
    yes: rowFlags.yes.pipe(Flag.withDescription("Do not ask; needed where there is no terminal")),
    json: rowFlags.json
  },
  Effect.fn("forget")(function*({ dryRun, json, yes, ...given }) {
    const who = yield* whoIs(given)
    if (!dryRun && !yes) yield* somebodyToAsk("forget")
    const { dataDir } = yield* commandSettings
    const name = "user" in who ? who.user : who.channel
    const report = yield* Effect.gen(function*() {
      const plan = yield* planOf(who)
      const of = { user: null, channel: null, ...who, dryRun, left: plan.left }
      if (dryRun) return { ...of, ...foreseen(plan), files: 0, walEmptied: null } satisfies ForgetReport
      if (!yes && !isEmpty(plan)) {
        const unsent = plan.unsent === 0 ? "" : ` ${several(plan.unsent, "reply was", "replies were")} not sent yet.`
        const amount = amountOf({ ...of, ...foreseen(plan), files: 0, walEmptied: null })
        if (!(yield* confirm(`${name}: ${amount}.${unsent} Nothing brings them back. Erase them?`))) {
          return yield* new NotConfirmed()
        }
      }
      const total = plan.replies.length + plan.turns.length * 2 + plan.states.length + plan.keys.length +
        plan.messages.size
      const done = isEmpty(plan)
        ? nothing
        : yield* Effect.ensuring(erase(plan, yield* Clock.currentTimeMillis, telling(total)), noProgress)
      for (const file of done.files) yield* removeFrom(dataDir, file)
      return {
        ...of,
        messages: done.messages,
        replies: done.replies,
        states: done.states,
        keys: done.keys,
        files: done.files.length,
        // Also where a repetition finds nothing: what the first one left may be in it.
        walEmptied: yield* emptyWal,
        left: { turns: plan.left.turns, replies: [...plan.left.replies, ...done.left] }
      } satisfies ForgetReport
    }).pipe(onDatabase(dataDir, !dryRun))
    yield* Console.log(
      json ? jsonText(report) : `${name}: ${dryRun ? "would be forgotten" : "forgotten"}: ${amountOf(report)}`
    )
    const { left: { replies, turns }, walEmptied } = report
    if (!dryRun && (turns.length > 0 || replies.length > 0 || walEmptied === false)) {
      return yield* new NotAllForgotten({ turns, replies: replies.length, walEmptied: walEmptied !== false })
    }
  })
).pipe(
  Command.withDescription(
    "Erase what is stored about a person or of a channel: texts, payloads, state, replies, files, and who said it. Of the keys that recognise repetitions a hash stays. Asks first; what waits to be handled or sent is erased too"
  ),
  Command.withExamples([
    { command: "slackwater forget --user U0123ABCD --dry-run", description: "See how much there is" },
    { command: "slackwater forget --user U0123ABCD", description: "A person" },
    { command: "slackwater forget --channel C0123ABCD --yes --json", description: "A channel, from a script" }
  ])
)
