/** Running turns and pauses, and what a person does to them: as `slackwater pause`, `resume` and `cancel` do. */
import { Clock, Effect, Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { type Cancelled, Control } from "../Control.ts"
import { ConversationKey, TurnId } from "../Message.ts"
import { isConversation, noConversation } from "../slackIds.ts"
import { answering, bodyOf, Refusal } from "./answers.ts"
import { Wake } from "./Wake.ts"

/** Those that run at this moment. */
const Turn = Schema.Struct({
  id: Schema.String,
  conversation: Schema.String,
  attempt: Schema.Int,
  startedAt: Schema.Int,
  messages: Schema.Int,
  status: Schema.NullOr(Schema.String),
  /** How the first of its messages begins. */
  text: Schema.String
})
const Turns = Schema.Struct({ turns: Schema.Array(Turn) })

const Pause = Schema.Struct({
  /** A conversation, or a channel with all of its conversations; null is everything. */
  conversation: Schema.NullOr(Schema.String),
  since: Schema.Int,
  why: Schema.NullOr(Schema.String)
})
const Pauses = Schema.Struct({ pauses: Schema.Array(Pause) })

/** `false` where it was so already. */
const Done = Schema.Struct({ changed: Schema.Boolean })
const TurnCancelled = Schema.Struct({ cancelled: Schema.Boolean, why: Schema.optionalKey(Schema.String) })

const Text = Schema.NonEmptyString.check(Schema.isMaxLength(500))
const Place = Schema.Struct({ conversation: Schema.optional(Schema.NullOr(Text)), why: Schema.optional(Text) })

const outcome = (cancelled: Cancelled): typeof TurnCancelled.Type => {
  switch (cancelled._tag) {
    case "Cancelled":
      return { cancelled: true }
    case "Ended":
      return { cancelled: false, why: cancelled.byHand ? "it was cancelled before" : `it is ${cancelled.state}` }
    case "Unknown":
      return { cancelled: false, why: "there is no such turn" }
  }
}

const routes = Effect.gen(function*() {
  const control = yield* Control
  const wake = yield* Wake

  // Whose gateway runs them is left out: the schema names what is shown.
  const turns = Effect.map(control.running, (turns) => ({ turns }))
  const pauses = Effect.map(control.pauses, (pauses) => ({ pauses }))

  const cancel = Effect.gen(function*() {
    const { id = "" } = yield* HttpRouter.params
    const now = yield* Clock.currentTimeMillis
    const cancelled = yield* control.cancel(TurnId.make(id), now)
    if (cancelled._tag === "Cancelled") yield* wake.touch
    return outcome(cancelled)
  }).pipe(Effect.uninterruptible)

  const change = (action: "pause" | "resume") =>
    Effect.gen(function*() {
      const { conversation, why } = yield* bodyOf(Place)
      const place = Option.match(Option.fromNullishOr(conversation), {
        onNone: () => null,
        onSome: (name) => ConversationKey.make(name)
      })
      // What it names would be held by nobody.
      if (action === "pause" && place !== null && !isConversation(place)) {
        return yield* new Refusal({ status: 400, error: `this ${noConversation}` })
      }
      return yield* Effect.uninterruptible(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const changed = yield* action === "pause" ? control.pause(place, now, why) : control.resume(place, now)
        if (changed) yield* wake.touch
        return { changed }
      }))
    })

  return [
    HttpRouter.route("GET", "/api/turns", answering(Turns)(turns)),
    HttpRouter.route("POST", "/api/turns/:id/cancel", answering(TurnCancelled)(cancel)),
    HttpRouter.route("GET", "/api/pauses", answering(Pauses)(pauses)),
    HttpRouter.route("POST", "/api/pause", answering(Done)(change("pause"))),
    HttpRouter.route("POST", "/api/resume", answering(Done)(change("resume")))
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(routes, (all) => router.addAll(all)))
