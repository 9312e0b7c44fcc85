/**
 * The disk is full while people talk: what cannot be stored is not acknowledged, and when there is room again everything
 * goes on by itself.
 *
 * On a small disk of its own where one may be mounted, and everywhere with a limit to the pages of the file.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawnSync } from "node:child_process"
import { appendFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { LocalSlack } from "slackwater/testing"
import { temporaryDirectory, withSlack } from "../fixtures/gateway.ts"
import { connected, type Gateway, query, startGateway, stop, within } from "./harness.ts"
import { openLedger } from "./ledger.ts"

const repeatedSoon = { faults: { retryDelaysMs: Array.from({ length: 500 }, () => 200) } }

interface Disk {
  readonly dataDir: string
  readonly fill: (gateway: Gateway) => Effect.Effect<void>
  readonly free: (gateway: Gateway) => Effect.Effect<void>
}

const limited: Effect.Effect<Disk, never, Scope.Scope> = Effect.map(temporaryDirectory, (dataDir) => ({
  dataDir,
  fill: (gateway) => gateway.order({ sql: "PRAGMA max_page_count = 1" }),
  free: (gateway) => gateway.order({ sql: "PRAGMA max_page_count = 1073741823" })
}))

const mount = (directory: string) =>
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", directory], { timeout: 5_000 }).status === 0
const unmount = (directory: string) => spawnSync("umount", ["-l", directory], { timeout: 5_000 })

const canMount = await Effect.runPromise(Effect.scoped(Effect.map(temporaryDirectory, (directory) => {
  const isMounted = mount(directory)
  if (isMounted) unmount(directory)
  return isMounted
})))
if (!canMount) process.stderr.write("a small disk cannot be mounted here: only the limit to the pages is tested\n")

/** To the last byte: what is appended in small pieces until nothing more fits. */
const fillUp = (file: string) => {
  for (const size of [65_536, 4_096, 512, 1]) {
    try {
      while (true) appendFileSync(file, Buffer.alloc(size))
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
    }
  }
}

const small: Effect.Effect<Disk, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  yield* Effect.acquireRelease(
    Effect.sync(() => assert.isTrue(mount(directory))),
    () => Effect.sync(() => unmount(directory))
  )
  const filler = join(directory, "filler")
  return {
    dataDir: join(directory, "data"),
    fill: () => Effect.sync(() => fillUp(filler)),
    free: () => Effect.sync(() => rmSync(filler))
  }
})

describe("a full disk", () => {
  for (
    const [what, disk, isPossible] of [
      ["of its own", small, canMount],
      ["as far as the file is concerned", limited, true]
    ] as const
  ) {
    it.live.skipIf(!isPossible)(
      `${what}: nothing is acknowledged that is not stored, and with room again all is answered`,
      () =>
        withSlack(
          Effect.gen(function*() {
            const slack = yield* LocalSlack
            const ledger = yield* openLedger
            const { dataDir, fill, free } = yield* disk
            const gateway = yield* startGateway(dataDir, {}, "scripted", { inside: true })
            yield* connected(gateway)
            const acks = Effect.map(slack.journal, (journal) =>
              journal.flatMap((entry) =>
                entry._tag === "AckReceived" && !entry.ignored ? [entry.eventId ?? "?"] : []
              ))
            const say = ledger.say({ channel: "C0GENERAL", user: "U0BOB" }, "x".repeat(500))
            const isRefusing = () => gateway.stderr().includes("events are not acked")

            yield* within("it is acknowledged", Effect.flatMap(say, ({ name }) => ledger.acked(name)), gateway)
            assert.isFalse(isRefusing())
            yield* fill(gateway)
            // The file and its log have some room left in what they have already.
            yield* within(
              "there is no room any more",
              Effect.gen(function*() {
                while (!isRefusing()) yield* Effect.andThen(say, Effect.sleep("10 millis"))
              }),
              gateway
            )
            const { n: after = 0 } = (yield* slack.journal).at(-1) ?? {}
            for (let n = 0; n < 5; n++) yield* say
            const last = new Set(yield* slack.unacked)
            assert.isAtLeast(last.size, 5)
            yield* within(
              "Slack repeats what is not acknowledged",
              slack.awaitJournal(
                (entry) => entry._tag === "EnvelopeSent" && entry.attempt >= 3 && last.has(entry.eventId ?? ""),
                { after }
              ),
              gateway
            )
            assert.isTrue(gateway.isAlive(), gateway.stderr())
            const acked = yield* acks
            const stored = new Set(
              query(dataDir, "SELECT key FROM slackwater_message_keys WHERE key LIKE 'event:%'").map((row) =>
                row["key"]
              )
            )
            assert.deepStrictEqual(acked.filter((event) => !stored.has(`event:${event}`)), [])
            assert.isAtLeast((yield* slack.unacked).length, 5)
            assert.include(gateway.stderr(), "events are not acked")

            yield* free(gateway)
            yield* within(
              "everything is acknowledged and answered",
              Effect.gen(function*() {
                while ((yield* slack.unacked).length > 0 || (yield* ledger.verdict).lost > 0) {
                  yield* Effect.sleep("20 millis")
                }
              }),
              gateway,
              60_000
            )
            const { doubled, lost, outOfOrder } = yield* ledger.verdict
            assert.deepStrictEqual({ lost, doubled, outOfOrder }, { lost: 0, doubled: 0, outOfOrder: 0 })
            const [check] = query(dataDir, "PRAGMA integrity_check")
            assert.strictEqual(check?.["integrity_check"], "ok")
            assert.strictEqual((yield* stop(gateway)).code, 0)
          }),
          repeatedSoon
        )
    )
  }
})
