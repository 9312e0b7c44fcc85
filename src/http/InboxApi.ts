/** Messages as the API shows them, and what a person does with them: as `slackwater inbox` does, from the browser. */
import { Clock, Effect } from "effect"
import { HttpRouter } from "effect/http"
import { type Action, messageStates, refusalOf } from "../InboxByHand.ts"
import { detailOf, InboxDetail, InboxPage, rowOf } from "../InboxRow.ts"
import { ConversationKey } from "../Message.ts"
import { MessageStore } from "../MessageStore.ts"
import { answering, bodyOf, queryOf, Refusal } from "./answers.ts"
import { change, Changed, idInPath, Ids, listQuery, pageOf } from "./rows.ts"
import { Wake } from "./Wake.ts"

const { Query, page } = listQuery(messageStates)

const routes = Effect.gen(function*() {
  const store = yield* MessageStore
  const wake = yield* Wake

  const list = Effect.gen(function*() {
    const { before = Number.MAX_SAFE_INTEGER, conversation, limit, states } = yield* page(yield* queryOf(Query))
    const which = {
      ...(states === undefined ? {} : { states }),
      ...(conversation === undefined ? {} : { conversation: ConversationKey.make(conversation) })
    }
    return pageOf((yield* store.list(which, { before, limit: limit + 1 })).map(rowOf), limit)
  })

  const show = Effect.gen(function*() {
    const id = yield* idInPath
    const message = yield* store.show(id)
    if (message === null) return yield* new Refusal({ status: 404, error: `there is no message ${id}` })
    return detailOf(message)
  })

  const act = (action: Action) =>
    Effect.gen(function*() {
      const { ids } = yield* bodyOf(Ids)
      return yield* change(ids, {
        act: (ids: ReadonlyArray<number>) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => store[action]({ ids }, now)),
        look: (ids: ReadonlyArray<number>) => store.list({ ids }, { limit: ids.length }),
        refusalOf: refusalOf[action]
      }).pipe(Effect.tap(({ changed }) => changed.length > 0 ? wake.touch : Effect.void), Effect.uninterruptible)
    })

  return [
    HttpRouter.route("GET", "/api/inbox", answering(InboxPage)(list)),
    HttpRouter.route("GET", "/api/inbox/:id", answering(InboxDetail)(show)),
    HttpRouter.route("POST", "/api/inbox/retry", answering(Changed)(act("retry"))),
    HttpRouter.route("POST", "/api/inbox/discard", answering(Changed)(act("discard")))
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(routes, (all) => router.addAll(all)))
