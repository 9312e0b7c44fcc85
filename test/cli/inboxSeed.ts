/** Messages in every state, in a data directory on which no gateway runs, and what the commands say about them. */
import { assert } from "@effect/vitest"
import { Effect, Option, type Schema } from "effect"
import { join } from "node:path"
import { DatabaseSync, type SQLOutputValue } from "node:sqlite"
import { type InboundMessage, OwnerId } from "../../src/Message.ts"
import { MessageStore } from "../../src/MessageStore.ts"
import * as Beside from "../../src/sql/Beside.ts"
import { arrival, key } from "../fixtures/messages.ts"
import { decodeAnswer } from "./answered.ts"
import { dataIn } from "./outboxSeed.ts"
import { outcome } from "./process.ts"

const somebody = OwnerId.make("somebody")

export interface Seed {
  /** What came before a turn took it: one message, or several for one turn. */
  readonly texts: ReadonlyArray<string>
  readonly conversation?: string
  readonly given?: Partial<InboundMessage>
  /** What becomes of them; `reason` says why. */
  readonly end: "waits" | "runs" | "done" | "failed" | "ignored"
  readonly reason?: string
  /** How long ago it came, in ms. */
  readonly age?: number
}

/** Puts them there in this order, as messages 1, 2, 3 and so on. */
export const seed = (cwd: string, seeds: ReadonlyArray<Seed>) =>
  Effect.gen(function*() {
    const store = yield* MessageStore
    for (const { age = 0, conversation = "D0ALICE", end, given, reason = "boom", texts } of seeds) {
      const at = Date.now() - age
      const channel = conversation.split("/")[0] ?? conversation
      for (const text of texts) {
        const options = { receivedAt: at, dueAt: at, ...(end === "ignored" ? { ignored: reason } : {}) }
        const keys = [`event:${crypto.randomUUID()}`]
        const message = { conversation: key(conversation), channel, text, ...given }
        yield* store.append(arrival(message, { ...options, keys }))
      }
      if (end === "waits" || end === "ignored") continue
      const { id } = Option.getOrThrow(yield* store.claim(key(conversation), somebody, at))
      if (end === "done") yield* store.complete(id, somebody, [], at)
      if (end === "failed") yield* store.fail(id, somebody, reason, [], at)
    }
  }).pipe(Effect.provide(Beside.layer(dataIn(cwd)), { local: true }))

/** One of each, in an order that commands must not mind: 4 and 5 failed in one turn. */
export const some = (cwd: string) =>
  seed(cwd, [
    { texts: ["all right"], end: "done", age: 7_200_000 },
    { texts: ["alone"], end: "failed", conversation: "D0BOB" },
    { texts: ["waits"], end: "waits", conversation: "D0CAROL" },
    { texts: ["poison", "innocent"], end: "failed", conversation: "C0GENERAL/1.0", reason: "no such model" },
    { texts: ["chatter"], end: "ignored", conversation: "C0GENERAL/2.0", reason: "not addressed" },
    { texts: ["at work"], end: "runs" }
  ])

export const messagesIn = (cwd: string): ReadonlyArray<Record<string, SQLOutputValue>> => {
  const db = new DatabaseSync(join(dataIn(cwd), "slackwater.db"), { readOnly: true, timeout: 5_000 })
  try {
    return db.prepare("SELECT * FROM slackwater_messages ORDER BY id").all()
  } finally {
    db.close()
  }
}

export const statesIn = (cwd: string) => messagesIn(cwd).map(({ state }) => state)

/** Runs `inbox …` to its success and answers what it printed. */
export const inbox = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* outcome(["inbox", ...args], { cwd })
  assert.strictEqual(code, 0, stderr)
  return stdout
})

/** The same with --json: it must be what the schema says, and no field more. */
export const inboxJson = <A, I>(schema: Schema.Codec<A, I>) => (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.map(
    inbox(cwd, ...args, "--json"),
    decodeAnswer(schema)
  )
