/**
 * `slackwater status`: what a running gateway says about itself (`/api/status`); where none answers, who owns the data
 * directory, how the last one ended, and what waits in the database, which is only read.
 */
import { Clock, ConfigProvider, Console, Effect, Option, Runtime, Schema } from "effect"
import { Command } from "effect/cli"
import { join, resolve } from "node:path"
import { setting } from "../GatewayConfig.ts"
import { MessageStore } from "../MessageStore.ts"
import { OutboxStore } from "../OutboxStore.ts"
import { Snapshot } from "../Snapshot.ts"
import { lastInstance } from "../sql/lastInstance.ts"
import { ownerOf } from "../sql/OwnerLock.ts"
import { gatewayAddress, getFrom } from "./askGateway.ts"
import { looking } from "./besideGateway.ts"
import { paint } from "./paint.ts"
import * as rowFlags from "./rowFlags.ts"
import { settings } from "./settings.ts"
import type { NoAnswer } from "./statusAnswer.ts"
import { printSilence, printSnapshot } from "./statusText.ts"
import { json as jsonText } from "./terminalText.ts"
import { Told } from "./told.ts"

/** Somebody answers, and says nothing that we can use. */
export class NoStatus extends Schema.TaggedError<NoStatus>()("NoStatus", { detail: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 1
  override get message(): string {
    return this.detail
  }
}

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
const decodeSnapshot = Schema.decodeUnknownOption(Snapshot)
const decodeError = Schema.decodeUnknownOption(Schema.Struct({ error: Schema.String }))

/** The snapshot, and all that was said, which of a later release may be more. */
const understand = Effect.fnUntraced(function*(url: string, status: number, body: string) {
  const said = Option.getOrUndefined(decodeJson(body))
  if (status === 401 || status === 403) {
    return yield* new NoStatus({
      detail: `${url} asks for the admin token (${status}): set SLACKWATER_ADMIN_TOKEN to the gateway's`
    })
  }
  const error = decodeError(said)
  if (status !== 200 && Option.isSome(error)) {
    return yield* new NoStatus({ detail: `the gateway at ${url} cannot say how it is: ${error.value.error}` })
  }
  const snapshot = decodeSnapshot(said)
  if (status !== 200 || Option.isNone(snapshot)) {
    return yield* new NoStatus({
      detail: `${url} is answered (${status}) by something that is no gateway of this release: see SLACKWATER_HOST ` +
        "and SLACKWATER_PORT, or start the gateway again with this release"
    })
  }
  return { snapshot: snapshot.value, said }
})

/** What the database says, which is there and can be read. */
const past = Effect.fnUntraced(function*(now: number, isOwned: boolean) {
  const { oldestQueuedAt, waitingConversations: _, ...inbox } = yield* (yield* MessageStore).counts
  const { oldestQueuedAt: oldestReplyAt, ...replies } = yield* (yield* OutboxStore).counts
  const last = yield* lastInstance
  const age = (since: number | null) => since === null ? null : Math.max(0, now - since)
  const ended = last === null || last.stoppedAt !== null ? "clean" : isOwned ? "not yet" : "crash"
  return {
    last: last === null ? null : { ...last, ended } as const,
    database: null,
    inbox: { ...inbox, oldestQueuedAgeMs: age(oldestQueuedAt) },
    outbox: { ...replies, oldestQueuedAgeMs: age(oldestReplyAt) }
  }
})

const silence = Effect.fnUntraced(function*(url: string, problem: string, given: string, now: number) {
  const dataDir = resolve(given)
  const owner = yield* Effect.catch(
    ownerOf(join(dataDir, "owner.lock")),
    ({ message }) => Effect.succeed(message)
  )
  const nothing = (why: string) => Effect.succeed({ last: null, database: why, inbox: null, outbox: null })
  const found = yield* past(now, owner !== undefined).pipe(
    looking(dataDir),
    Effect.catch((error) => nothing(error.message))
  )
  return { answers: false, url, problem, dataDir, owner: owner ?? null, ...found } satisfies NoAnswer
})

export const status = Command.make(
  "status",
  { json: rowFlags.json },
  Effect.fn("status")(function*({ json }) {
    const provider = yield* settings
    const { dataDir, ...address } = yield* Effect.provideService(
      Effect.all({ dataDir: setting("dataDir"), address: gatewayAddress }),
      ConfigProvider.ConfigProvider,
      provider
    ).pipe(Effect.map(({ address, dataDir }) => ({ dataDir, ...address })))
    const now = yield* Clock.currentTimeMillis
    const colours = yield* paint
    const heard = yield* getFrom("/api/status", address)
    if (heard._tag === "Answer") {
      const { said, snapshot } = yield* understand(address.url, heard.status, heard.body)
      return yield* Console.log(json ? jsonText(said) : printSnapshot(snapshot, address.url, now, colours))
    }
    const found = yield* silence(address.url, heard.why, dataDir, now)
    yield* Console.log(json ? jsonText(found) : printSilence(found, now, colours))
    return yield* new Told({ exitCode: 1 })
  })
).pipe(
  Command.withDescription(
    "Show what a running gateway says about itself; without one, how the last one ended and what waits (exit 1)"
  ),
  Command.withExamples([
    { command: "slackwater status", description: "For people" },
    { command: "slackwater status --json", description: "For another program: what /api/status answers" }
  ])
)
