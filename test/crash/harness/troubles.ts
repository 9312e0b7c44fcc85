/**
 * What goes wrong around a gateway while it works: its disk, its clock, its neighbours, its Slack, and being frozen.
 *
 * Each trouble begins and ends while the gateway runs. A gateway that dies first takes what was wrong inside of it along.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { DatabaseSync } from "node:sqlite"
import { LocalSlack } from "slackwater/testing"
import { databaseOf, type Gateway } from "../harness.ts"

const hour = 3_600_000

interface Trouble {
  readonly begin: (gateway: Gateway) => Effect.Effect<unknown, never, LocalSlack | Scope.Scope>
  readonly end: (gateway: Gateway) => Effect.Effect<unknown, never, LocalSlack>
}

const sql = (gateway: Gateway, statement: string) => gateway.order({ sql: statement })
const nothing = () => Effect.void
/** Ends with the round: the other program has let go by then. */
const others = new WeakMap<Gateway, DatabaseSync>()

const letGo = (gateway: Gateway) =>
  Effect.sync(() => {
    others.get(gateway)?.close()
    others.delete(gateway)
  })

export const troubles = {
  "full-disk": {
    begin: (gateway) => sql(gateway, "PRAGMA max_page_count = 1"),
    end: (gateway) => sql(gateway, "PRAGMA max_page_count = 1073741823")
  },
  "read-only-file": {
    begin: (gateway) => sql(gateway, "PRAGMA query_only = 1"),
    end: (gateway) => sql(gateway, "PRAGMA query_only = 0")
  },
  "busy-file": {
    begin: (gateway) =>
      Effect.andThen(
        Effect.try(() => {
          const other = new DatabaseSync(databaseOf(gateway.dataDir), { timeout: 1_000 })
          others.set(gateway, other)
          other.exec("BEGIN IMMEDIATE")
        }).pipe(Effect.ignore),
        Effect.addFinalizer(() => letGo(gateway))
      ),
    end: letGo
  },
  "clock-ahead": { begin: (gateway) => gateway.order({ clockMs: hour }), end: nothing },
  "clock-back": { begin: (gateway) => gateway.order({ clockMs: -hour }), end: nothing },
  "frozen": {
    begin: (gateway) => Effect.sync(() => gateway.signal("SIGSTOP")),
    end: (gateway) => Effect.sync(() => gateway.signal("SIGCONT"))
  },
  "slack-down": {
    begin: () =>
      LocalSlack.use((slack) =>
        Effect.andThen(slack.faults({ apiDown: true, refuseWebSocket: true }), slack.dropConnections)
      ),
    end: () => LocalSlack.use((slack) => slack.faults({ apiDown: null, refuseWebSocket: null }))
  },
  "slack-slow": {
    begin: () => LocalSlack.use((slack) => slack.faults({ delayMs: { method: "*", ms: 400 } })),
    end: () => LocalSlack.use((slack) => slack.faults({ delayMs: null }))
  },
  "slack-resetting": {
    begin: () =>
      LocalSlack.use((slack) =>
        Effect.andThen(
          slack.faults({
            resetBeforeCommit: { method: "chat.postMessage", times: 3 },
            resetAfterCommit: { method: "chat.postMessage", times: 3 }
          }),
          slack.dropConnections
        )
      ),
    end: () => LocalSlack.use((slack) => slack.faults({ resetBeforeCommit: null, resetAfterCommit: null }))
  }
} satisfies Record<string, Trouble>

export type TroubleName = keyof typeof troubles
export const troubleNames = Object.keys(troubles) as ReadonlyArray<TroubleName>
