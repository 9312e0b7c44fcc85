/**
 * Who may look at the gateway and who may change something over HTTP: whoever holds the admin token, or a session that
 * was opened with it.
 *
 * Owns the token in force, the sessions and the count of wrong tokens, all in memory: a restart ends every session, and
 * so does a reload that brings another token.
 * Guarantees: a comparison takes as long for any guess; a session's id is random and says nothing of the token; sessions
 * and addresses that are remembered are bounded. Wrong tokens cost their address its next tries, the right one included:
 * otherwise many guesses at once would go unlimited. A session is not a guess and is never held up.
 * Does not: know HTTP (`http/Guard.ts` asks).
 */
import { Context, Deferred, Duration, Effect, Layer, Redacted } from "effect"
import { GatewayConfig, type Settings } from "./GatewayConfig.ts"
import { monotonicMillis } from "./monotonic.ts"

/** Sessions at once; one more ends the oldest. */
const mostSessions = 64
export const sessionFor = Duration.hours(12)
/** Wrong tokens that an address may send at once, and the time (ms) after which it may send one more. */
const burst = 10
const every = 5_000
/** More addresses than these share one count. */
const mostAddresses = 1_000
/** Wrong tokens are logged at most this often (ms). */
const logEvery = 60_000

type Wanted = Pick<Settings, "adminToken" | "allowedHosts">

const digest = (text: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (bytes) => new Uint8Array(bytes)
  )

/** Hashes, so that neither length nor content shows in the time it takes. */
const isSame = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((difference, byte, index) => difference | (byte ^ (b[index] ?? 0)), a.length ^ b.length) === 0

/** A token that nobody can guess, and an id of a session. */
export const randomToken = Effect.sync(() =>
  Array.from(globalThis.crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("")
)

export class Admission extends Context.Service<Admission, {
  /** Whether there is a token at all. Without one nothing can be changed. */
  readonly hasToken: Effect.Effect<boolean>
  /** Names beside this machine's own under which the gateway may be asked. */
  readonly allowedHosts: Effect.Effect<ReadonlyArray<string>>
  /** `limited`: this address sent too many wrong ones, and this one was not looked at. */
  readonly check: (token: string, address: string) => Effect.Effect<"right" | "wrong" | "limited">
  /** Opens a session; answers its id. */
  readonly open: Effect.Effect<string>
  readonly knows: (session: string) => Effect.Effect<boolean>
  readonly close: (session: string) => Effect.Effect<void>
  /** Waits until every session ends, since there is another token. */
  readonly revoked: Effect.Effect<void>
  /** Settings were read again. */
  readonly renew: (settings: Wanted) => Effect.Effect<void>
}>()("slackwater/Admission") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      let wanted: Wanted = config
      let revoked = yield* Deferred.make<void>()
      const sessions = new Map<string, number>()
      /** When all wrong tokens of an address are forgiven (monotonic ms). */
      const debts = new Map<string, number>()
      const wrong = { since: -Infinity, count: 0 }

      const forgive = (now: number) => {
        for (const [address, until] of debts) if (until <= now) debts.delete(address)
      }

      const sayWrong = Effect.fnUntraced(function*(address: string, now: number) {
        wrong.count++
        if (now - wrong.since < logEvery) return
        const { count } = wrong
        wrong.since = now
        wrong.count = 0
        yield* Effect.logWarning("a wrong admin token was sent").pipe(Effect.annotateLogs({ address, count }))
      })

      const check = Effect.fn("Admission.check")(function*(given: string, from: string) {
        const { adminToken } = wanted
        const now = yield* monotonicMillis
        if (debts.size >= mostAddresses) forgive(now)
        const address = debts.has(from) || debts.size < mostAddresses ? from : "others"
        const until = Math.max(debts.get(address) ?? now, now)
        if (until - now > (burst - 1) * every) return "limited"
        // Charged before it is looked at, and given back: of many at once each one counts.
        debts.set(address, until + every)
        if (adminToken !== null && isSame(yield* digest(given), yield* digest(Redacted.value(adminToken)))) {
          debts.set(address, (debts.get(address) ?? every) - every)
          return "right"
        }
        yield* sayWrong(from, now)
        return "wrong"
      })

      const open = Effect.gen(function*() {
        const id = yield* randomToken
        const now = yield* monotonicMillis
        for (const [session, until] of sessions) if (until <= now) sessions.delete(session)
        const [oldest] = sessions.keys()
        if (oldest !== undefined && sessions.size >= mostSessions) sessions.delete(oldest)
        sessions.set(id, now + Duration.toMillis(sessionFor))
        return id
      })

      return Admission.of({
        hasToken: Effect.sync(() => wanted.adminToken !== null),
        allowedHosts: Effect.sync(() => wanted.allowedHosts),
        check,
        open,
        knows: (session) =>
          Effect.map(monotonicMillis, (now) => {
            const until = sessions.get(session)
            return until !== undefined && now < until
          }),
        close: (session) => Effect.sync(() => sessions.delete(session)),
        revoked: Effect.suspend(() => Deferred.await(revoked)),
        renew: (settings) =>
          Effect.suspend(() => {
            const text = ({ adminToken }: Wanted) => adminToken === null ? null : Redacted.value(adminToken)
            const isOther = text(settings) !== text(wanted)
            wanted = settings
            if (!isOther) return Effect.void
            sessions.clear()
            const before = revoked
            revoked = Deferred.makeUnsafe()
            return Effect.asVoid(Deferred.succeed(before, undefined))
          })
      })
    })
  )
}
