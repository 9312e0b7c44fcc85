/**
 * Quiet window per conversation: a thought typed in three messages becomes one turn.
 *
 * Owns timing only. The messages are on disk with the end of their window as `due_at`, so a lost window costs
 * nothing: after a crash everything that waited is due at once. A window ends after a quiet time, at the latest five
 * quiet times after its first message; commands, buttons and files do not wait and end the window they meet.
 * On shutdown: ends every window and hands their conversations to Conversations, which still run.
 */
import { Clock, Context, Duration, Effect, Latch, Layer } from "effect"
import { Conversations } from "./Conversations.ts"
import { GatewayConfig, longestWindow } from "./GatewayConfig.ts"
import type { ConversationKey, InboundMessage } from "./Message.ts"
import { MessageStore } from "./MessageStore.ts"
import { Shutdown } from "./Shutdown.ts"
import { Supervisor } from "./Supervisor.ts"

/** A quiet window, in epoch ms. One that ends when it opens is none. */
export interface Window {
  readonly openedAt: number
  readonly endsAt: number
}

/** Windows open at once; a conversation beyond them does not wait. */
const maxWindows = 2_048

const isImmediate = (message: InboundMessage) =>
  message.kind === "slash_command" || message.kind === "interactive" || message.subtype === "file_share"

export class Debouncer extends Context.Service<Debouncer, {
  /** The window this message will be in, decided before it is stored. */
  readonly window: (message: InboundMessage, now: number) => Effect.Effect<Window>
  /** The message is on disk: its window counts from now on. */
  readonly opened: (conversation: ConversationKey, window: Window) => Effect.Effect<void>
  /** Ends every window. Answers how many there were. */
  readonly flushAll: Effect.Effect<number>
}>()("slackwater/Debouncer") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const config = yield* GatewayConfig
      const conversations = yield* Conversations
      const shutdown = yield* Shutdown
      const store = yield* MessageStore
      const supervisor = yield* Supervisor
      const quiet = Math.round(Duration.toMillis(config.debounce))
      const longest = longestWindow(config)
      const windows = new Map<ConversationKey, Window>()
      const changed = yield* Latch.make()

      const window = (message: InboundMessage, now: number) =>
        Effect.sync((): Window => {
          const open = windows.get(message.conversation)
          const openedAt = Math.min(open?.openedAt ?? now, now)
          if (quiet === 0 || isImmediate(message) || (open === undefined && windows.size >= maxWindows)) {
            return { openedAt, endsAt: now }
          }
          return { openedAt, endsAt: Math.min(now + quiet, openedAt + longest) }
        })

      const opened = Effect.fnUntraced(function*(conversation: ConversationKey, next: Window) {
        if (next.endsAt <= (yield* Clock.currentTimeMillis)) {
          windows.delete(conversation)
          yield* conversations.wake(conversation)
        } else {
          windows.set(conversation, next)
          yield* changed.open
        }
      })

      /** Ends what is due and sleeps until the next end, or until a window was opened. */
      const tick = Effect.gen(function*() {
        yield* changed.close
        const now = yield* Clock.currentTimeMillis
        let next = Infinity
        for (const [conversation, { endsAt }] of windows) {
          // No window is that long: the clock was set back.
          if (endsAt <= now || endsAt > now + longest) {
            windows.delete(conversation)
            yield* conversations.wake(conversation)
          } else {
            next = Math.min(next, endsAt)
          }
        }
        yield* next === Infinity ? changed.await : Effect.timeoutOption(changed.await, next - now)
      })

      const flushAll = Effect.gen(function*() {
        const keys = [...windows.keys()]
        if (keys.length > 0) {
          yield* store.makeDue(keys, yield* Clock.currentTimeMillis)
          windows.clear()
          yield* conversations.flush(keys)
        }
        return keys.length
      }).pipe(
        Effect.catch((error) =>
          Effect.as(Effect.logError("could not end the quiet windows; the next start does", error), 0)
        )
      )

      yield* supervisor.fork("debouncer", Effect.forever(tick))
      yield* Effect.addFinalizer(() =>
        shutdown.within("debouncer", Effect.flatMap(flushAll, (flushed) => shutdown.count("flushed", flushed)))
      )

      return Debouncer.of({ window, opened, flushAll })
    })
  )
}
