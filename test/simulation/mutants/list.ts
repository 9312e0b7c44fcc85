/**
 * Planted faults: each is one of the mistakes that gateways like this one were seen to make, as an edit of one file.
 *
 * They are put into a copy of the sources and never into what is shipped. Whoever changes a line that stands here
 * changes it here too; a test says so.
 */
export interface Mutant {
  readonly name: string
  readonly file: string
  /** Stands in the file exactly once. */
  readonly find: string
  readonly put: string
}

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "ack before commit",
    file: "src/Intake.ts",
    find: "const stored = yield* take(incoming, identity)\n",
    put: "yield* Effect.ignore(ack({}))\n            const stored = yield* take(incoming, identity)\n"
  },
  {
    name: "a failed commit answers as if it had worked",
    file: "src/sql/GroupCommit.ts",
    find: "const exit = Exit.failCause(cause as Cause.Cause<Failure>)",
    put:
      "const exit: Exit.Exit<any, Failure> = jobs.length > 0 ? Exit.succeed({ _tag: \"Ignored\" }) : Exit.failCause(cause as Cause.Cause<Failure>)"
  },
  {
    name: "a repetition is taken for known and acked unseen",
    file: "src/Intake.ts",
    find: "const stored = yield* take(incoming, identity)\n",
    put:
      "if (retry > 0) return yield* Effect.ignore(ack({}))\n            const stored = yield* take(incoming, identity)\n"
  },
  {
    name: "no dedupe of twins",
    file: "src/Envelope.ts",
    find: "? event.ts || event.event_ts ? [`message:${channel}/${event.ts || event.event_ts}`] : []",
    put: "? event.ts || event.event_ts ? [`message:${event.type}/${channel}/${event.ts || event.event_ts}`] : []"
  },
  {
    name: "what was being sent at a crash is sent again unseen",
    file: "src/sql/outboxRows.ts",
    find: "SET state = 'unknown', ${failed}, unknown_since = ${now}, late = 1,",
    put: "SET state = 'failed_retryable', ${failed}, unknown_since = ${now}, late = 1,"
  },
  {
    name: "a post that may have arrived is sent again",
    file: "src/Delivery.ts",
    find: "if (isRepeatable(row.dispatch._tag) ||",
    put: "if (row.dispatch._tag === \"Post\" || isRepeatable(row.dispatch._tag) ||"
  },
  {
    name: "one look that finds nothing is proof",
    file: "src/Reconcile.ts",
    find: "if (seen >= looksBeforeAbsent && (open >= window || hasMoved))",
    put: "if (seen >= 1)"
  },
  {
    name: "delivered rows come back at a start",
    file: "src/sql/Instance.ts",
    find: "yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt} WHERE state = 'unknown'",
    put:
      "yield* sql`UPDATE slackwater_outbox SET state = 'failed_retryable', due_at = ${startedAt} WHERE id = (SELECT max(id) FROM slackwater_outbox WHERE state = 'delivered')`\n      yield* sql`UPDATE slackwater_outbox SET due_at = ${startedAt} WHERE state = 'unknown'"
  },
  {
    name: "a lane does not wait for its head",
    file: "src/sql/outboxClaims.ts",
    find: "OR (p.id < o.id AND (p.state = 'failed_retryable'",
    put: "OR (p.id < o.id AND 0 AND (p.state = 'failed_retryable'"
  },
  {
    name: "lost wake-up of a conversation",
    file: "src/Conversations.ts",
    find: "due.mustAsk || due.size > 0 || isDraining() ? Effect.asVoid(signal.open) : Effect.void",
    put: "Effect.void"
  },
  {
    name: "lost wake-up of the outbox",
    file: "src/Outbox.ts",
    find: "return Effect.andThen(idle.close, signal.open)",
    put: "return Effect.andThen(idle.close, Effect.void)"
  },
  {
    name: "an attempt is spent at a stop",
    file: "src/sql/turns.ts",
    find: "attempt = attempt - 1, crashes = 0,",
    put: "crashes = 0,"
  },
  {
    name: "what a dead instance left running is never taken",
    file: "src/Conversations.ts",
    find: "let mayHaveOrphans = true",
    put: "let mayHaveOrphans = false"
  },
  {
    name: "what a dead instance left running is handled as done",
    file: "src/sql/turns.ts",
    find:
      "yield* sql`UPDATE slackwater_messages SET state = 'queued' WHERE turn_id = ${id} AND state = 'processing'`\n      }\n      return turns.length\n    },\n    group.write(\"recover\")",
    put:
      "yield* sql`UPDATE slackwater_messages SET state = 'done', finished_at = ${now} WHERE turn_id = ${id} AND state = 'processing'`\n        yield* sql`UPDATE slackwater_turns SET state = 'done', finished_at = ${now} WHERE id = ${id}`\n      }\n      return turns.length\n    },\n    group.write(\"recover\")"
  },
  {
    name: "a running turn can be claimed again",
    file: "src/sql/claims.ts",
    find: "if (open.state === \"running\" || open.due_at > now)",
    put: "if (open.due_at > now)"
  },
  {
    name: "messages in the order of their arrival",
    file: "src/sql/claims.ts",
    find: "ORDER BY n, slack_ts, id`",
    put: "ORDER BY n, id`"
  },
  {
    name: "finished steps run again",
    file: "src/Turn.ts",
    find: "const stored = finished.get(name)",
    put: "const stored: string | undefined = claimed.attempt > 1 ? undefined : finished.get(name)"
  },
  {
    name: "a re-run repeats its replies",
    file: "src/Replies.ts",
    find: "? { ...spotAt(\"said\", to), said }",
    put: "? { ...spotAt(`said${run.attempt}`, to), said }"
  },
  {
    name: "the old connection is not closed when it is replaced",
    file: "src/SocketLayer.ts",
    find: "        yield* Effect.timeoutOption(predecessor.quiet.await, lingerFor)\n        yield* close(predecessor)",
    put: "        yield* Effect.timeoutOption(predecessor.quiet.await, lingerFor)"
  },
  {
    name: "a deaf connection is never replaced",
    file: "src/Watchdog.ts",
    find: "const deafAfter = 2 * pingWithin",
    put: "const deafAfter = 2_000_000 * pingWithin"
  },
  {
    name: "a fiber that fails is not started again",
    file: "src/Supervisor.ts",
    find: "failures = ran >= healthyAfter ? 1 : failures + 1",
    put: "if (ran >= 0) return\n          failures = ran >= healthyAfter ? 1 : failures + 1"
  },
  {
    name: "newer messages supersede a turn and its own are lost",
    file: "src/sql/turnEnds.ts",
    find: "yield* sql`UPDATE slackwater_messages SET state = 'queued', turn_id = NULL, due_at = max(",
    put: "yield* sql`UPDATE slackwater_messages SET state = 'done', finished_at = max("
  },
  {
    name: "a crash is held against every turn that ran",
    file: "src/TurnRunner.ts",
    find: "return config.maxCrashes > 0 && crashes >= suspectAfter + config.maxCrashes ? crashed : null",
    put: "return config.maxCrashes > 0 && crashes >= 1 ? crashed : null"
  },
  {
    name: "a stop does not look at its deadline",
    file: "src/Shutdown.ts",
    find: "const exit = yield* Effect.timeoutOption(Fiber.await(fiber), left)",
    put: "const exit = yield* Effect.timeoutOption(Fiber.await(fiber), left + 600_000)"
  },
  {
    name: "a turn ends without its replies",
    file: "src/TurnRunner.ts",
    find: "(now) => store.complete(claimed.id, owner, rows, now, {",
    put: "(now) => store.complete(claimed.id, owner, [], now, {"
  }
]
