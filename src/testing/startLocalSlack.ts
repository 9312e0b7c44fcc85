/**
 * A LocalSlack for people who do not write Effect: `startLocalSlack()`, and promises from there on.
 *
 * Guarantees what LocalSlack guarantees. `replies` waits for a signal and not for time; what does not come is a rejection
 * that says what came instead. `close` is done when every socket is gone.
 */
import { Effect, ManagedRuntime } from "effect"
import type { Command } from "./Commands.ts"
import type { FaultPatch, Faults } from "./Faults.ts"
import type { Gesture } from "./Gestures.ts"
import type { JournalEntry } from "./Journal.ts"
import { LocalSlack, type LocalSlackOptions } from "./LocalSlack.ts"
import type { LocalMessage } from "./SlackShapes.ts"
import type { Said } from "./SlackWorld.ts"

export interface RunningLocalSlack extends AsyncDisposable {
  readonly url: string
  /** For `slackApiUrl` and `SLACK_API_URL`. */
  readonly apiUrl: string
  readonly port: number
  /** A person writes something; answers its `ts`. */
  readonly say: (said: Said) => Promise<string>
  readonly command: (command: Command) => Promise<string>
  readonly gesture: (gesture: Gesture) => Promise<string | undefined>
  readonly messages: (channel: string) => Promise<ReadonlyArray<LocalMessage>>
  /** What the bot has written in a conversation, as soon as there are so many (default 1), within so long (default 10 s). */
  readonly replies: (
    channel: string,
    options?: { readonly count?: number; readonly withinMs?: number }
  ) => Promise<ReadonlyArray<string>>
  readonly faults: (patch: FaultPatch) => Promise<Faults>
  readonly clearFaults: () => Promise<void>
  /** Resets all connections; answers how many there were. */
  readonly dropConnections: () => Promise<number>
  readonly journal: () => Promise<ReadonlyArray<JournalEntry>>
  readonly close: () => Promise<void>
}

export const startLocalSlack = async (options: LocalSlackOptions = {}): Promise<RunningLocalSlack> => {
  const runtime = ManagedRuntime.make(LocalSlack.layer(options))
  const slack = await runtime.runPromise(LocalSlack)
  const close = () => runtime.dispose()
  const written = (channel: string) =>
    Effect.map(
      slack.messages(channel),
      (messages) => messages.filter(({ bot_id }) => bot_id !== undefined).map(({ text }) => text)
    )

  const replies = (channel: string, count: number) =>
    Effect.gen(function*() {
      let after = 0
      while (true) {
        const texts = yield* written(channel)
        if (texts.length >= count) return texts
        const { n } = yield* slack.awaitJournal((entry) => entry._tag === "MessagePosted", { after })
        after = n
      }
    })

  return {
    url: slack.url,
    apiUrl: slack.apiUrl,
    port: slack.port,
    say: (said) => runtime.runPromise(slack.say(said)),
    command: (command) => runtime.runPromise(slack.command(command)),
    gesture: (gesture) => runtime.runPromise(slack.gesture(gesture)),
    messages: (channel) => runtime.runPromise(slack.messages(channel)),
    replies: (channel, { count = 1, withinMs = 10_000 } = {}) =>
      runtime.runPromise(Effect.timeoutOrElse(replies(channel, count), {
        duration: withinMs,
        orElse: () =>
          Effect.flatMap(
            written(channel),
            (texts) =>
              Effect.die(
                new Error(`${count} replies did not come within ${withinMs} ms; there are ${JSON.stringify(texts)}`)
              )
          )
      })),
    faults: (patch) => runtime.runPromise(slack.faults(patch)),
    clearFaults: () => runtime.runPromise(slack.clearFaults),
    dropConnections: () => runtime.runPromise(slack.dropConnections),
    journal: () => runtime.runPromise(slack.journal),
    close,
    [Symbol.asyncDispose]: close
  }
}
