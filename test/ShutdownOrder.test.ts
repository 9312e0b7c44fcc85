/** The end of all rooms together: its order, and that nothing below them can hold it up. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, SubscriptionRef } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { defaultActivation } from "../src/Activation.ts"
import { Conversations } from "../src/Conversations.ts"
import * as Gateway from "../src/Gateway.ts"
import { GatewayStatus } from "../src/GatewayStatus.ts"
import { Handler } from "../src/Handler.ts"
import { Instance } from "../src/Instance.ts"
import { MessageStore } from "../src/MessageStore.ts"
import { OutboxStore } from "../src/OutboxStore.ts"
import { Responder } from "../src/Responder.ts"
import { Shutdown } from "../src/Shutdown.ts"
import { SlackConnection } from "../src/SlackConnection.ts"
import { arrival } from "./fixtures/messages.ts"
import { ground, inRooms, logged, Rooms } from "./fixtures/rooms.ts"
import { scriptedApi } from "./fixtures/scriptedApi.ts"
import { scriptedConnections } from "./fixtures/scriptedConnection.ts"
import { settle } from "./fixtures/time.ts"

/**
 * Everything that a store does, until the switch is thrown; then nothing answers. It can be interrupted, as whoever waits
 * for the one writer can; a finalizer cannot, and so hangs unless it has a bound.
 */
const breakable = <S extends object>(store: S, isStuck: () => boolean): S =>
  new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      const orStuck = (effect: unknown) =>
        Effect.isEffect(effect)
          ? Effect.suspend(() => isStuck() ? Effect.never : effect)
          : effect
      return typeof member === "function"
        ? (...given: ReadonlyArray<unknown>) => orStuck(Reflect.apply(member, target, given))
        : orStuck(member)
    }
  })

/** All rooms over scripted doors, with a record of the steps of their end. */
const inAllRooms = <A, E>(
  body: (room: {
    readonly steps: ReadonlyArray<string>
    readonly lines: ReadonlyArray<string>
    readonly getStuck: () => void
  }) => Effect.Effect<A, E, Rooms | Conversations | MessageStore | GatewayStatus | Shutdown>
) => {
  const steps: Array<string> = []
  const log = logged()
  let isStuck = false
  const connections = scriptedConnections()
  const dataDir = mkdtempSync(join(tmpdir(), "slackwater-order-"))
  const recorded = Layer.effect(
    Shutdown,
    Effect.map(Shutdown, (shutdown) => ({
      ...shutdown,
      within: (step, effect, outOfTime) =>
        Effect.suspend(() => {
          steps.push(step)
          return shutdown.within(step, effect, outOfTime)
        })
    }))
  )
  const stuck = Layer.mergeAll(
    Layer.effect(MessageStore, Effect.map(MessageStore, (store) => breakable(store, () => isStuck))),
    Layer.effect(OutboxStore, Effect.map(OutboxStore, (store) => breakable(store, () => isStuck))),
    Layer.effect(Instance, Effect.map(Instance, (store) => breakable(store, () => isStuck))),
    Layer.effect(
      SlackConnection,
      Effect.map(SlackConnection, ({ open }) => ({
        open: Effect.andThen(
          Effect.addFinalizer(() => Effect.suspend(() => isStuck ? Effect.uninterruptible(Effect.never) : Effect.void)),
          open
        )
      }))
    )
  )
  const rooms = Gateway.way(defaultActivation, undefined).pipe(
    Layer.provide(Responder.layer()),
    Layer.provide(Handler.layer(Handler.make(() => Effect.uninterruptible(Effect.never)))),
    Layer.provideMerge(Instance.cleanStop),
    Layer.provideMerge(recorded),
    Layer.provideMerge(stuck),
    Layer.provideMerge(Layer.mergeAll(connections.layer, scriptedApi().layer)),
    Layer.provideMerge(ground({ dataDir, shutdownTimeout: Duration.seconds(20) })),
    Layer.provideMerge(NodeServices.layer),
    Layer.provideMerge(log.layer)
  )
  return inRooms(rooms)(
    body({
      steps,
      lines: log.lines,
      getStuck: () => {
        isStuck = true
      }
    })
  ).pipe(Effect.ensuring(Effect.sync(() => rmSync(dataDir, { recursive: true }))))
}

describe("the end", () => {
  it.effect("goes from the door inwards", () =>
    inAllRooms(({ steps }) =>
      Effect.gen(function*() {
        yield* (yield* Rooms).close
        assert.deepStrictEqual(steps, [
          "catchUp",
          "socket",
          "debouncer",
          "conversations",
          "requeue",
          "outbox",
          "requeue",
          "clean"
        ])
      })
    ))

  it.effect("turns readiness off first, and is over inside the deadline, whatever hangs below", () =>
    inAllRooms(({ getStuck, steps }) =>
      Effect.gen(function*() {
        yield* (yield* MessageStore).append(arrival())
        yield* (yield* Conversations).lookAround
        yield* settle
        const status = yield* GatewayStatus
        const { phase } = yield* Shutdown
        const socket = yield* SubscriptionRef.get(status.socket)
        assert.strictEqual(socket.state, "connected")
        getStuck()
        const { close } = yield* Rooms
        const began = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        yield* close
        const took = (yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - began
        assert.isAtMost(took, 20_500)
        assert.strictEqual(steps.length, 8)
        assert.strictEqual(yield* SubscriptionRef.get(phase), "stopped")
      })
    ))
})

/** What ends with a scope, and why it cannot hang. */
const bounded: Readonly<Record<string, string>> = {
  "src/CatchUp.ts": "under Shutdown",
  "src/Conversations.ts": "under Shutdown",
  "src/Debouncer.ts": "under Shutdown",
  "src/Heartbeat.ts": "under Shutdown",
  "src/Instance.ts": "under Shutdown",
  "src/Outbox.ts": "under Shutdown",
  "src/SocketLayer.ts": "under Shutdown",
  "src/Watchdog.ts": "sets a flag and a phase",
  "src/Shutdown.ts": "sets a phase and logs",
  "src/RoomsStatus.ts": "changes maps in memory",
  "src/Reload.ts": "closes rooms, each of which is bounded",
  "src/slack/SocketMode.ts": "has a timeout of its own",
  "src/sql/GroupCommit.ts": "fails what waits",
  "src/sql/OwnerLock.ts": "closes a file",
  "src/http/Events.ts": "ends streams and waits for nobody who reads them",
  "src/cli/systemd.ts": "starts a program and waits for nothing",
  "src/cli/devGateway.ts": "kills the child after its time",
  "src/cli/backup.ts": "removes files",
  "src/cli/logging.ts": "writes what was left out, once",
  "src/cli/otlp.ts": "has a timeout of its own, within the deadline",
  "src/exec/Child.ts": "forgets a process group; who kills it has a grace of its own",
  "src/sql/backup.ts": "closes a file"
}

it("everything that ends with a scope has a bound, and says which", () => {
  const root = fileURLToPath(new URL("../", import.meta.url))
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.startsWith("testing/"))
    .map((file) => `src/${file}`)
  const finalizing = files.filter((file) => {
    const text = readFileSync(join(root, file), "utf8")
    return /addFinalizer|acquireRelease\(/.test(text)
  })
  assert.deepStrictEqual(finalizing.toSorted(), Object.keys(bounded).toSorted())
  for (const [file, why] of Object.entries(bounded)) {
    const text = readFileSync(join(root, file), "utf8")
    if (why === "under Shutdown") assert.match(text, /shutdown\s*\.within\(|\bdrain\)/, file)
  }
})
