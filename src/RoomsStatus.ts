/**
 * What one set of rooms publishes, while another set may be taking its place.
 *
 * To the rooms it is a `GatewayStatus` like any other. Below it, their alarms, turns and pauses count beside those of
 * the other set, and end with these rooms; of two socket states the gateway shows that of the present rooms only.
 * Does not: decide which rooms are the present ones (Reload).
 */
import { Clock, Effect, type Latch, Layer, Stream, SubscriptionRef } from "effect"
import { GatewayStatus, type SocketState } from "./GatewayStatus.ts"
import { Instance } from "./Instance.ts"
import { Supervisor } from "./Supervisor.ts"

/** Which rooms these are: nobody knows of them yet, they are the present ones (`shown` is open), or others are. */
export interface Role {
  readonly shown: Latch.Latch
  areReplaced: boolean
}

export const layer = (role: Role) =>
  Layer.effect(
    GatewayStatus,
    Effect.gen(function*() {
      const { id: rooms } = yield* Instance
      const supervisor = yield* Supervisor
      const whole = yield* GatewayStatus
      const before = yield* SubscriptionRef.get(whole.socket)
      const socket = yield* SubscriptionRef.make<SocketState>({
        state: "starting",
        generation: 0,
        connectedSince: null,
        disconnectedSince: before.disconnectedSince ?? (yield* Clock.currentTimeMillis),
        silence: null,
        reconnects: 0,
        // Slack counts those of the rooms before too.
        connections: before.connections
      })
      /** Code and cause of what these rooms have raised. */
      const raised = new Map<string, readonly [code: string, cause: string]>()
      const named = (cause: string) => `${rooms} ${cause}`

      const clear = (code: string, cause = "") =>
        Effect.suspend(() => raised.delete(`${code} ${cause}`) ? whole.clear(code, named(cause)) : Effect.void)

      const show = (state: SocketState) =>
        role.areReplaced ? Effect.void : SubscriptionRef.set(whole.socket, {
          ...state,
          generation: before.generation + state.generation,
          reconnects: before.reconnects + state.reconnects
        })
      yield* supervisor.fork(
        "socket-state",
        Effect.andThen(role.shown.await, Stream.runForEach(SubscriptionRef.changes(socket), show))
      )

      yield* Effect.addFinalizer(() =>
        Effect.forEach([...raised.values()], ([code, cause]) => clear(code, cause), { discard: true }).pipe(
          Effect.andThen(whole.setActive(0, rooms)),
          Effect.andThen(whole.setPaused(false, rooms))
        )
      )

      return GatewayStatus.of({
        ...whole,
        socket,
        // Of rooms that are on trial nothing was seen yet.
        wasConnected: Effect.suspend(() => role.shown.isOpen() ? whole.wasConnected : Effect.succeed(false)),
        raise: (code, text, cause = "") =>
          Effect.suspend(() => {
            raised.set(`${code} ${cause}`, [code, cause])
            return whole.raise(code, text, named(cause))
          }),
        clear,
        setActive: (turns) => whole.setActive(turns, rooms),
        setPaused: (paused) => whole.setPaused(paused, rooms)
      })
    })
  )
