/** Files that a turn posts, through a whole gateway with Slack's real client: each is there once, byte by byte. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Handler, type Turn } from "slackwater"
import { type FaultPatch, LocalSlack } from "slackwater/testing"
import { eventually, startGateway, temporaryDirectory, withDatabase, withSlack } from "./fixtures/gateway.ts"

const channel = "C0GENERAL"
/** Every byte there is, and more than a small request. */
const content = new Uint8Array(3_000_000).map((_, index) => index % 256)
const spooled = (dataDir: string) => {
  const directory = join(dataDir, "spool")
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Slack shows a message before its answer is here, and the file goes behind that. */
const spoolIsEmpty = (dataDir: string) =>
  eventually("the spool is empty", Effect.sync(() => spooled(dataDir).length === 0))

const states = (dataDir: string) =>
  withDatabase(
    dataDir,
    (database) => database.prepare("SELECT state, slack_ts AS ts, reason FROM slackwater_outbox ORDER BY id").all()
  )

const posted = Effect.flatMap(
  LocalSlack,
  (slack) =>
    Effect.map(slack.messages(channel), (messages) => messages.filter((message) => message.bot_id !== undefined))
)

/** One message has the file, and it is the file. */
const isThere = Effect.fnUntraced(function*(dataDir: string) {
  const slack = yield* LocalSlack
  const messages = yield* posted
  assert.strictEqual(messages.length, 1)
  const id = messages[0]?.files?.[0]?.id ?? ""
  const bytes = yield* Effect.promise(() => fetch(`${slack.url}/_local/files/${id}`).then((answer) => answer.bytes()))
  assert.isTrue(Buffer.from(bytes).equals(Buffer.from(content)))
  assert.isEmpty(spooled(dataDir))
  const [row] = yield* states(dataDir)
  assert.deepInclude(row, { state: "delivered", ts: messages[0]?.ts }, "delivered as that message")
})

const gateway = (
  handler: (turn: Turn) => Effect.Effect<unknown, unknown>,
  faults: FaultPatch = {},
  given: Parameters<typeof startGateway>[2] = {}
) =>
  Effect.gen(function*() {
    const slack = yield* LocalSlack
    const dataDir = yield* temporaryDirectory
    yield* startGateway(dataDir, Handler.make((turn) => Effect.asVoid(handler(turn))), given)
    yield* slack.faults(faults)
    yield* slack.say({ channel, user: "U0ALICE", text: "<@U0BOT> send it" })
    return dataDir
  })

const send = (turn: Turn) => turn.upload({ filename: "all.bin", content, title: "All", comment: "here you are" })
const delivered = (dataDir: string) =>
  eventually("it is delivered", Effect.map(states(dataDir), (rows) => rows[0]?.["state"] === "delivered"))

describe("an upload", () => {
  it.live("is posted in the thread with its title and comment, and its handle changes that message", () =>
    withSlack(Effect.gen(function*() {
      const dataDir = yield* gateway((turn) => Effect.flatMap(send(turn), (handle) => handle.react("eyes")))
      yield* eventually("a reaction", Effect.map(posted, ([message]) => message?.reactions !== undefined))
      const [message] = yield* posted
      assert.isDefined(message?.thread_ts)
      assert.strictEqual(message?.text, "here you are")
      assert.strictEqual(message?.files?.[0]?.title, "All")
      yield* spoolIsEmpty(dataDir)
    })))

  it.live("takes text, and a file of this machine, which may be gone when it is sent", () =>
    withSlack(Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const path = join(directory, "report.txt")
      writeFileSync(path, "from a file")
      const slack = yield* LocalSlack
      yield* slack.faults({ apiDown: true })
      const dataDir = yield* gateway((turn) =>
        Effect.gen(function*() {
          yield* turn.upload({ filename: "a.txt", content: "some text" })
          yield* turn.upload({ filename: "b.txt", content: { path } })
          writeFileSync(path, "changed since")
        }), {})
      yield* slack.faults({ apiDown: null })
      yield* eventually("both", Effect.map(posted, ({ length }) => length === 2))
      const ids = (yield* posted).map(({ files }) => files?.[0]?.id ?? "")
      const texts = yield* Effect.forEach(
        ids,
        (id) => Effect.promise(() => fetch(`${slack.url}/_local/files/${id}`).then((answer) => answer.text()))
      )
      assert.deepStrictEqual(texts, ["some text", "from a file"])
      yield* spoolIsEmpty(dataDir)
    })))

  it.live("lies in the data directory for nobody else to read while it waits", () =>
    withSlack(Effect.gen(function*() {
      const dataDir = yield* gateway(send, {
        error: { method: "files.getUploadURLExternal", code: "org_login_required" }
      })
      yield* eventually("a row", Effect.map(states(dataDir), ({ length }) => length === 1))
      const [name = ""] = spooled(dataDir)
      assert.strictEqual(statSync(join(dataDir, "spool")).mode & 0o777, 0o700)
      assert.strictEqual(statSync(join(dataDir, "spool", name)).mode & 0o777, 0o600)
    })))

  it.live("that is too large fails, and leaves nothing behind", () =>
    withSlack(Effect.gen(function*() {
      const reasons: Array<string> = []
      const dataDir = yield* gateway(
        (turn) => Effect.map(Effect.flip(send(turn)), ({ reason }) => reasons.push(reason._tag)),
        {},
        { maxUpload: content.length - 1 }
      )
      yield* eventually("it is refused", Effect.sync(() => reasons.length === 1))
      assert.deepStrictEqual(reasons, ["FileRefused"])
      assert.isEmpty(spooled(dataDir))
      assert.isEmpty(yield* states(dataDir))
    })))

  for (const method of ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"]) {
    const once = { method, times: 1 }
    const faults: ReadonlyArray<readonly [what: string, patch: FaultPatch]> = [
      ["a rate limit", { rateLimit: { ...once, retryAfterSeconds: 1 } }],
      ["a reset before it takes effect", { resetBeforeCommit: once }],
      ["a reset after it took effect", { resetAfterCommit: once }],
      ["an answer that comes too late", { delayMs: { ...once, ms: 2_500 } }],
      ["a 502 after it took effect", { httpStatus: { ...once, status: 502, afterCommit: true } }]
    ]
    for (const [what, patch] of faults) {
      // More time for what is large: its late answer is an answer still.
      it.live(`is there once, byte by byte, whatever happens: ${what} at ${method}`, () =>
        withSlack(Effect.gen(function*() {
          const dataDir = yield* gateway(send, patch)
          yield* delivered(dataDir)
          yield* spoolIsEmpty(dataDir)
          yield* isThere(dataDir)
        })))
    }
  }

  it.live("that Slack refuses keeps its bytes as a dead letter, until that is discarded", () =>
    withSlack(Effect.gen(function*() {
      const dataDir = yield* gateway(send, { error: { method: "files.completeUploadExternal", code: "is_archived" } })
      yield* eventually(
        "a dead letter",
        Effect.map(states(dataDir), (rows) => rows[0]?.["state"] === "failed_terminal")
      )
      assert.strictEqual(spooled(dataDir).length, 1)
    })))
})
