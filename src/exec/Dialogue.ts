/**
 * One run of a turn over a child: says what the turn is, does what the child asks for, in its order, until it is done.
 *
 * Guarantees: what the child asked for before `done` is on disk before the turn completes; what cannot be done is told to
 * whoever asked with a `request`, and fails the run otherwise. A message that joined the turn and that the child does not
 * count in its `done` is not lost: the run fails, and the next one has it among its messages.
 * Does not: start or end processes (Child, Workers).
 */
import { Deferred, Effect, Fiber, Predicate, type Scope, Semaphore, Stream } from "effect"
import { CurrentStep } from "../CurrentWork.ts"
import type { SlackMessage } from "../Dispatch.ts"
import { kindOf } from "../Event.ts"
import type { Turn } from "../HandlerTurn.ts"
import type { InboundMessage } from "../Message.ts"
import type { ReplyHandle } from "../ReplyHandle.ts"
import type { FileContent } from "../Spool.ts"
import type { TurnError } from "../TurnError.ts"
import type { Child } from "./Child.ts"
import { broken, ExecFailed, type Line, read, refuse, type RequestId, type Saying } from "./Protocol.ts"

type Said<K extends Saying["type"]> = Extract<Saying, { readonly type: K }>
/** What is done for the child while the run goes on. */
type Request = Exclude<Saying, Said<"done" | "error" | "followup">>

/** A step that the child runs, and what this side of it needs to know. */
interface OpenStep {
  readonly name: string
  readonly current: Effect.Success<typeof CurrentStep>
  readonly result: Deferred.Deferred<unknown>
}

const shownTo = (message: InboundMessage) => ({ ...message, event: kindOf(message) })

/** What was said without the words that are about the saying. */
const contentOf = <A extends Saying>({ request: _request, turn: _turn, type: _type, ...content }: A) => content

const fileOf = ({ base64, path, text }: Said<"upload">): FileContent | undefined => {
  const given = [base64, path, text].filter((one) => one !== undefined)
  if (given.length !== 1) return undefined
  return path !== undefined ? { path } : base64 !== undefined ? Buffer.from(base64, "base64") : text
}

/** Answers what the handler answers; fails with what went wrong. */
export const converse = Effect.fnUntraced(
  function*(turn: Turn, child: Child): Effect.fn.Return<unknown, ExecFailed | TurnError, Scope.Scope> {
    const replies = new Map<RequestId, ReplyHandle>()
    const steps: Array<OpenStep & { readonly saved: Fiber.Fiber<unknown, TurnError> }> = []
    const asking: Array<Fiber.Fiber<void>> = []
    const oneAtATime = yield* Semaphore.make(1)
    const followups = yield* Stream.toPull(turn.followups)
    let joined = 0

    yield* child.attach
    yield* child.send({
      type: "turn",
      id: turn.id,
      attempt: turn.attempt,
      conversation: turn.conversation,
      text: turn.text,
      state: (yield* turn.state.get) ?? null,
      messages: turn.messages.map(shownTo)
    })

    /** What is said in a step belongs to it. */
    const inStep = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
      const step = steps.at(-1)
      return step === undefined ? effect : Effect.provideService(effect, CurrentStep, step.current)
    }

    const named = (line: Line, reply: RequestId) => {
      const handle = replies.get(reply)
      return handle === undefined
        ? Effect.fail(refuse(line, `names ${JSON.stringify(reply)}, which is the request of no reply of this run`))
        : Effect.succeed(handle)
    }

    const keep = Effect.fnUntraced(function*(
      { request }: Saying,
      effect: Effect.Effect<ReplyHandle, TurnError>
    ) {
      const handle = yield* inStep(effect)
      if (request !== undefined) replies.set(request, handle)
      return handle.id
    })

    /** The stored result, or word that the child is to run the step. */
    const askStep = Effect.fnUntraced(function*({ name }: Said<"step">) {
      const begun = yield* Deferred.make<OpenStep>()
      const body = Effect.gen(function*() {
        const result = yield* Deferred.make<unknown>()
        yield* Deferred.succeed(begun, { name, current: yield* CurrentStep, result })
        return yield* Deferred.await(result)
      })
      const saved = yield* Effect.forkScoped(turn.step(name, body), { startImmediately: true })
      return yield* Effect.raceFirst(
        Effect.map(Fiber.join(saved), (result): unknown => ({ done: true, result })),
        Effect.map(Deferred.await(begun), (open): unknown => {
          steps.push({ ...open, saved })
          return { done: false }
        })
      )
    })

    const endStep = Effect.fnUntraced(function*(line: Line, { name, result }: Said<"step">) {
      const at = steps.findIndex((step) => step.name === name)
      const step = steps[at]
      if (step === undefined) return yield* refuse(line, `ends the step ${JSON.stringify(name)}, which was not begun`)
      steps.splice(at, 1)
      yield* Deferred.succeed(step.result, result)
      yield* Fiber.join(step.saved)
      return null
    })

    const perform = (line: Line, said: Request): Effect.Effect<unknown, ExecFailed | TurnError, Scope.Scope> => {
      switch (said.type) {
        case "reply":
          return keep(said, turn.reply(contentOf(said)))
        case "update": {
          const { reply, ...content } = contentOf(said)
          return Effect.flatMap(named(line, reply), (handle) => inStep(turn.update(handle, content))).pipe(
            Effect.map(({ id }) => id)
          )
        }
        case "delete":
          return Effect.flatMap(named(line, said.reply), (handle) => inStep(turn.delete(handle))).pipe(
            Effect.map(({ id }) => id)
          )
        case "react": {
          const to: Effect.Effect<ReplyHandle | SlackMessage | undefined, ExecFailed> = said.reply === undefined
            ? Effect.succeed(said.message)
            : named(line, said.reply)
          return Effect.flatMap(to, (to) => inStep(turn.react(said.name, to, { remove: said.remove === true }))).pipe(
            Effect.map(({ id }) => id)
          )
        }
        case "respond":
          return keep(said, turn.respond(contentOf(said)))
        case "upload": {
          const content = fileOf(said)
          if (content === undefined) return Effect.fail(refuse(line, "needs one of text, base64 and path"))
          const { base64: _base64, path: _path, text: _text, ...rest } = contentOf(said)
          return keep(said, turn.upload({ ...rest, content }))
        }
        case "status":
          return Effect.as(turn.status(said.text), null)
        case "state":
          return Effect.as(turn.state.set(said.value), null)
        case "history":
          return turn.history(said.limit === undefined ? {} : { limit: said.limit })
        case "step":
          if (Predicate.hasProperty(said, "result")) return endStep(line, said)
          return said.request === undefined
            ? Effect.fail(refuse(line, "asks for a step and needs a request, by which it is answered"))
            : askStep(said)
      }
    }

    const serve = (line: Line, said: Request) => {
      const { request } = said
      const performed = perform(line, said)
      if (request === undefined) {
        return Effect.catch(
          performed,
          (error) => Effect.fail(error._tag === "TurnError" ? refuse(line, `was refused (${error.message})`) : error)
        )
      }
      return Effect.matchEffect(performed, {
        onSuccess: (value) => child.send({ type: "result", request, ok: true, value }),
        onFailure: ({ message }) => child.send({ type: "result", request, ok: false, error: message })
      })
    }

    /** Waits for the next message that joins, beside everything else. What was taken is counted, come what may. */
    const askFollowup = Effect.fnUntraced(function*(line: Line, { request }: Said<"followup">) {
      if (request === undefined) return yield* refuse(line, "needs a request, by which it is answered")
      const answer = (value: unknown) => child.send({ type: "result", request, ok: true, value })
      const next = Effect.uninterruptibleMask((restore) =>
        Effect.matchEffect(restore(followups), {
          onFailure: () => answer(null),
          onSuccess: ([message]) => {
            joined += 1
            return answer(shownTo(message))
          }
        })
      )
      asking.push(yield* Effect.forkScoped(oneAtATime.withPermit(next), { startImmediately: true }))
    })

    while (true) {
      const line = yield* child.next
      if (line.text.trim() === "") continue
      const said = yield* read(line)
      if (said.turn !== undefined && said.turn !== turn.id) {
        return yield* refuse(line, `speaks of another turn than the present one, ${turn.id}`)
      }
      if (said.type === "followup") yield* askFollowup(line, said)
      else if (said.type === "error") return yield* new ExecFailed({ detail: said.message, saidSo: true })
      else if (said.type === "done") {
        yield* Fiber.interruptAll(asking)
        if (joined <= (said.followups ?? 0)) return said.reply
        return yield* broken(
          `${joined} messages joined the turn and done counts ${said.followups ?? 0}; it runs again with all of them`
        )
      } else yield* serve(line, said)
    }
  }
)
