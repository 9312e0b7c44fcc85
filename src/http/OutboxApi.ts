/** Replies as the API shows them, and what a person does with them: as `slackwater outbox` does, from the browser. */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { ConversationKey } from "../Message.ts"
import { type Action, refusalOf } from "../OutboxByHand.ts"
import { OutboxPage, OutboxRow, rowOf } from "../OutboxRow.ts"
import { OutboxStore, replyStates } from "../OutboxStore.ts"
import { answering, queryOf, Refusal } from "./answers.ts"
import { change, idInPath, listQuery, pageOf } from "./rows.ts"
import { Wake } from "./Wake.ts"

const { Query, page } = listQuery(replyStates)

const routes = Effect.gen(function*() {
  const store = yield* OutboxStore
  const wake = yield* Wake

  const list = Effect.gen(function*() {
    const { before = Number.MAX_SAFE_INTEGER, conversation, limit, states } = yield* page(yield* queryOf(Query))
    const which = {
      ...(states === undefined ? {} : { states }),
      ...(conversation === undefined ? {} : { lane: ConversationKey.make(conversation) })
    }
    return pageOf((yield* store.list(which, { before, limit: limit + 1 })).map(rowOf), limit)
  })

  const show = Effect.gen(function*() {
    const id = yield* idInPath
    const [row] = yield* store.list({ ids: [id] }, { limit: 1 })
    if (row === undefined) return yield* new Refusal({ status: 404, error: `there is no reply ${id}` })
    return rowOf(row)
  })

  const act = (action: Action) =>
    change({
      act: (ids, now) => store[action]({ ids }, now),
      look: (ids: ReadonlyArray<number>) => store.list({ ids }, { limit: ids.length }),
      refusalOf: refusalOf[action],
      wake: wake.touch
    })

  return [
    HttpRouter.route("GET", "/api/outbox", answering(OutboxPage)(list)),
    HttpRouter.route("GET", "/api/outbox/:id", answering(OutboxRow)(show)),
    HttpRouter.route("POST", "/api/outbox/retry", act("retry")),
    HttpRouter.route("POST", "/api/outbox/discard", act("discard"))
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(routes, (all) => router.addAll(all)))
