/**
 * After a gap: has what was said while nobody was connected looked for in Slack's history.
 *
 * Owns the moment up to which everything that was said has come here. While a connection lives that is now, and it is
 * marked in the database every minute; from a gap on it stands, and it goes on only when a look at what was said since
 * has come to its end. So a look that a stop or `kill -9` cuts off is made again by the next start, and the time in
 * which the process was down is a gap like any other: from the mark to the first connection.
 * A connection that lived for us and was dead is a gap too, from its last sign of life, whether others lived or not.
 * A gap no longer than SLACKWATER_CATCH_UP is left to Slack, which repeats what it has just sent; after a crash every
 * gap counts. Looks go one at a time; gaps that come meanwhile make one more. A look that fails is made again.
 * Does not: hold up the connection, the start or the end, or answer twice: Intake knows what it has.
 * On shutdown: cuts a look off, and marks.
 */
import { Clock, Context, DateTime, Duration, Effect, Latch, Layer, Stream, SubscriptionRef } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus, type SocketState } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import { type Look, makeLookBack } from "./LookBack.ts"
import { Shutdown } from "./Shutdown.ts"
import { Supervisor } from "./Supervisor.ts"

const markEvery = Duration.minutes(1)
/** After a failed look, doubling (ms). */
const firstPause = 5_000
const maxPause = 300_000
/** Looks that may fail for what is in one channel; the next one leaves it out. */
const patience = 5

const iso = (ms: number) => DateTime.formatIso(DateTime.makeUnsafe(ms))

export class CatchUp extends Context.Service<CatchUp, {
  /** Since when something may have been said that was not looked for yet (epoch ms); null when nothing. */
  readonly owedSince: Effect.Effect<number | null>
}>()("slackwater/CatchUp") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const { catchUp, historyLag } = yield* GatewayConfig
      if (catchUp === null) return CatchUp.of({ owedSince: Effect.succeed(null) })
      const instance = yield* Instance
      const shutdown = yield* Shutdown
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const lookBack = yield* makeLookBack
      const threshold = Duration.toMillis(catchUp)
      const marked = yield* instance.heardSoFar
      const wanted = yield* Latch.make()
      /** Since when nobody has been connected. */
      let downSince: number | null = marked ?? instance.startedAt
      /** The beginning of the gap that is, or will be, looked into; and of one that came during the look. */
      let owed: number | null = null
      let later: number | null = null
      /** The end of the last silence that was taken into account. */
      let silentUntil = 0
      let failures = 0
      /** What was in flight at a crash is nowhere: not with us, and maybe acked. */
      let crashed = instance.previousStop === "crash" && marked !== null && marked < instance.startedAt

      /** A gap that counts however short it is: for whoever looks after us, after a reload or a stop, it is a long one. */
      const counting = (from: number, now: number) => crashed ? Math.min(from, now - threshold - 1) : from
      const heardUntil = Effect.map(
        Clock.currentTimeMillis,
        (now) => Math.min(now, owed ?? now, downSince === null ? now : counting(downSince, now))
      )
      const mark = Effect.gen(function*() {
        const until = yield* heardUntil
        if (until !== (yield* instance.heardUntil)) yield* instance.markHeard(until)
      }).pipe(Effect.ignore({ log: "Warn", message: "could not mark how far everything was heard" }))

      const onSocket = Effect.fnUntraced(function*({ connectedSince, disconnectedSince, silence }: SocketState) {
        let until = connectedSince ?? (yield* Clock.currentTimeMillis)
        if (silence !== null && silence.until !== silentUntil) {
          silentUntil = silence.until
          until = Math.max(until, silentUntil)
          downSince = Math.min(downSince ?? Infinity, silence.since)
        }
        if (disconnectedSince !== null) downSince ??= disconnectedSince
        if (disconnectedSince !== null || downSince === null) return
        const from = counting(downSince, until)
        downSince = null
        if (until - from > threshold) {
          if (owed === null) owed = from
          else later = Math.min(later ?? from, from)
          yield* wanted.open
        }
        crashed = false
        yield* mark
      })

      /** One line for each look, and an alarm for what a person may have to look at. */
      const report = Effect.fnUntraced(function*(from: number, until: number, look: Look) {
        const { calls, known, missed, recovered, scopes } = look
        const since = iso(from)
        const counts = { since, recovered, known, calls, missed: Object.fromEntries(missed) }
        yield* (missed.size === 0 ? Effect.logInfo : Effect.logWarning)(
          missed.size === 0 ? "caught up after a gap" : "caught up after a gap, but for some of it"
        ).pipe(Effect.annotateLogs(counts))
        yield* scopes.size === 0 ? status.clear("catch-up-scope") : status.raise(
          "catch-up-scope",
          `what was said while nobody was connected cannot be looked for everywhere: the bot token lacks \
${[...scopes].join(", ")}; add it under OAuth & Permissions at api.slack.com/apps, and install the app again`
        )
        const others = [...missed].filter(([why]) => why !== "scope")
        yield* others.length === 0 ? status.clear("catch-up") : status.raise(
          "catch-up",
          `not everything that was said from ${since} to ${iso(until)} was looked at \
(${others.map(([why, times]) => `${why} ${times}`).join(", ")}); look in Slack for what was not answered`
        )
      })

      const work = Effect.gen(function*() {
        if (owed === null) {
          yield* wanted.close
          yield* wanted.await
        }
        // A message appears in the history a little later than it was said.
        yield* Effect.sleep(historyLag)
        if (owed === null) return
        later = null
        const from = owed
        const until = yield* Clock.currentTimeMillis
        const look = yield* Effect.result(lookBack(from, failures < patience))
        if (look._tag === "Failure") {
          const pause = Math.min(maxPause, firstPause * 2 ** Math.min(failures++, 10))
          yield* Effect.logWarning("could not look for what was said during a gap; trying again", look.failure).pipe(
            Effect.annotateLogs({ againInMs: pause })
          )
          if (failures >= patience) {
            const why = look.failure.message
            yield* status.raise(
              "catch-up",
              `what was said since ${iso(from)} cannot be looked for: ${why}; trying again`
            )
          }
          return yield* Effect.sleep(pause)
        }
        failures = 0
        owed = later
        later = null
        yield* mark
        yield* report(from, until, look.success)
      })

      // A reload finds out what is still to be looked for, and not more.
      yield* instance.hears(heardUntil)
      // Comes last: nobody moves the moment any more.
      yield* Effect.addFinalizer(() => shutdown.within("catchUp", mark))
      yield* supervisor.fork("gaps", Stream.runForEach(SubscriptionRef.changes(status.socket), onSocket))
      yield* supervisor.fork("mark", Effect.forever(Effect.andThen(Effect.sleep(markEvery), mark)))
      yield* supervisor.fork("catch-up", Effect.forever(work))
      return CatchUp.of({ owedSince: Effect.sync(() => owed) })
    })
  )
}
