/** Messages as the API shows them, and what a person does with them: as `slackwater inbox` does, from the browser. */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { type Action, messageStates, refusalOf } from "../InboxByHand.ts"
import { detailOf, InboxDetail, InboxPage, rowOf } from "../InboxRow.ts"
import { ConversationKey } from "../Message.ts"
import { MessageStore } from "../MessageStore.ts"
import { answering, queryOf, Refusal } from "./answers.ts"
import { change, idInPath, listQuery, pageOf } from "./rows.ts"
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
    change({
      act: (ids, now) => store[action]({ ids }, now),
      look: (ids: ReadonlyArray<number>) => store.list({ ids }, { limit: ids.length }),
      refusalOf: refusalOf[action],
      wake: wake.touch
    })

  return [
    HttpRouter.route("GET", "/api/inbox", answering(InboxPage)(list)),
    HttpRouter.route("GET", "/api/inbox/:id", answering(InboxDetail)(show)),
    HttpRouter.route("POST", "/api/inbox/retry", act("retry")),
    HttpRouter.route("POST", "/api/inbox/discard", act("discard"))
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(routes, (all) => router.addAll(all)))
