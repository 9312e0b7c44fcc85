/**
 * Transactions that the host has open on our connection: what rooms are told of them, who holds the connection, and
 * the alarm when somebody holds it too long.
 *
 * While such a transaction is open nothing of ours can be written, so nothing is acked. Longer than a second is
 * logged once, with the span that opened it, and is an alarm until our writer has the connection again.
 * Does not: end a transaction of the host. The holder is known by its span if the transaction called us, or if the
 * client is ours (`slackwater/sqlite`).
 */
import { Clock, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { GatewayStatus } from "../GatewayStatus.ts"
import { HostTransaction } from "../HostTransaction.ts"
import { Supervisor } from "../Supervisor.ts"
import { GroupCommit } from "./GroupCommit.ts"
import { holderOf } from "./holder.ts"

/** A transaction may keep our writer waiting this long (ms). */
const tooLong = 1_000
const lookEvery = 250
const alarm = "database:host"

export const layer = Layer.effect(
  HostTransaction,
  Effect.map(SqlClient.SqlClient, (sql) => ({
    afterCommit: sql.afterCommit,
    isOpen: Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)
  }))
)

/** Raises the alarm, and clears it. */
export const watch = Layer.effectDiscard(Effect.gen(function*() {
  const group = yield* GroupCommit
  const sql = yield* SqlClient.SqlClient
  const status = yield* GatewayStatus
  const supervisor = yield* Supervisor
  let raised = false

  const look = Effect.gen(function*() {
    const since = group.waitingSince()
    const isTooLong = since !== null && (yield* Clock.currentTimeMillis) - since >= tooLong
    if (isTooLong === raised) return
    raised = isTooLong
    if (!isTooLong) return yield* status.clear(alarm)
    const holder = holderOf(sql)
    yield* status.raise(
      alarm,
      `a transaction of the host (${holder ?? "its span is not known"}) keeps the database for longer than ` +
        `${tooLong / 1_000} s; nothing can be stored or acked until it ends`
    )
  })

  yield* supervisor.fork("transactions", Effect.forever(Effect.andThen(Effect.sleep(lookEvery), look)))
}))
