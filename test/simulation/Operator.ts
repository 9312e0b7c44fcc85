/**
 * Somebody who works on the gateway while it runs: pauses a conversation, a channel or everything, resumes it, cancels a
 * turn. Each wish goes to the living process, as an HTTP request would, and wakes its rooms as a command does.
 */
import { type Cause, Clock, Effect, Layer, Queue } from "effect"
import { Control } from "../../src/Control.ts"
import { ConversationKey } from "../../src/Message.ts"
import * as WakeFile from "../../src/WakeFile.ts"
import type { Stream } from "./Dice.ts"
import { channels, directOf } from "./People.ts"

export type Wish =
  | { readonly does: "pause" | "resume"; readonly place: string | null }
  | { readonly does: "cancel" }

export const wishOf = (stream: Stream): Wish => {
  const place = stream.pick([null, ...channels, directOf(0), directOf(1)])
  const sort = stream.next()
  return sort < 0.5 ? { does: "pause", place } : sort < 0.8 ? { does: "resume", place } : { does: "cancel" }
}

const fulfil = (control: Control["Service"], wish: Wish) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (wish.does === "cancel") {
      const [turn] = yield* control.running
      if (turn !== undefined) yield* control.cancel(turn.id, now)
      return
    }
    const place = wish.place === null ? null : ConversationKey.make(wish.place)
    yield* control[wish.does](place, now)
  })

/** Fulfils them one after the other; one that the database refuses is forgotten. */
export const operator = (wishes: Queue.Queue<Wish>, dataDir: string) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const control = yield* Control
    const refused = (cause: Cause.Cause<unknown>) => Effect.logWarning("a wish was refused", cause)
    const next = Effect.flatMap(Queue.take(wishes), (wish) => Effect.catchCause(fulfil(control, wish), refused))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(next, WakeFile.touch(dataDir))))
  }))
