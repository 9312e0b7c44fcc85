/** The copy of a database that somebody writes all the while. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { copyDatabase, settle } from "../../src/sql/backup.ts"
import * as Beside from "../../src/sql/Beside.ts"
import { past } from "../fixtures/past.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "slackwater-backup-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

it.live("is of one moment, and is not begun anew when somebody writes at every step of it", () =>
  Effect.gen(function*() {
    const folder = yield* directory
    yield* past(40_000).pipe(Effect.provide(Beside.layer(folder), { local: true }))
    const [file, target] = [join(folder, "slackwater.db"), join(folder, "copy.db")]
    const writer = new DatabaseSync(file, { timeout: 5_000 })
    yield* Effect.addFinalizer(() => Effect.sync(() => writer.close()))
    const insert = writer.prepare("INSERT INTO slackwater_message_keys VALUES (?, 0, 0)")
    const steps: Array<number> = []
    yield* copyDatabase(file, target, (done) => {
      insert.run(`busy:${steps.push(done)}`)
      assert.isBelow(steps.length, 100, "it does not come to an end")
    })
    assert.isAbove(steps.length, 3)
    assert.deepStrictEqual(steps, steps.toSorted((a, b) => a - b))
    assert.deepInclude(yield* settle(target), { messages: 40_000, replies: 40_000 })

    const copy = new DatabaseSync(target, { readOnly: true })
    const busy = copy.prepare("SELECT count(*) AS n FROM slackwater_message_keys WHERE key LIKE 'busy:%'").get()
    assert.deepStrictEqual({ ...busy }, { n: 0 })
    assert.deepStrictEqual({ ...copy.prepare("PRAGMA journal_mode").get() }, { journal_mode: "delete" })
    copy.close()
    assert.strictEqual(statSync(target).mode & 0o777, 0o600)
    assert.deepStrictEqual(readdirSync(folder).filter((name) => name.startsWith("copy")), ["copy.db"])
  }))
