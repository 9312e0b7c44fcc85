/**
 * Everything that is answered over HTTP, behind one guard. It sits below the rooms, so that it answers to the end of a
 * drain.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as Activity from "../Activity.ts"
import { Admission } from "../Admission.ts"
import * as ControlApi from "./ControlApi.ts"
import * as Dashboard from "./Dashboard.ts"
import * as Events from "./Events.ts"
import * as Guard from "./Guard.ts"
import * as Health from "./Health.ts"
import * as InboxApi from "./InboxApi.ts"
import * as Login from "./Login.ts"
import * as OutboxApi from "./OutboxApi.ts"
import { Wake } from "./Wake.ts"

const routes = Layer.mergeAll(
  ControlApi.layer,
  Dashboard.layer,
  Events.layer,
  Health.layer,
  InboxApi.layer,
  Login.layer,
  OutboxApi.layer
).pipe(Layer.provide(Wake.layer))

const announce = Layer.effectDiscard(
  Effect.flatMap(
    HttpServer.HttpServer,
    (server) => Effect.logInfo("listening").pipe(Effect.annotateLogs({ url: HttpServer.formatAddress(server.address) }))
  )
)

export const layer = Layer.merge(announce, Events.Events.endFirst).pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.provideMerge(routes, Guard.layer), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provideMerge(Events.Events.layer),
  Layer.provideMerge(Layer.mergeAll(Admission.layer, Activity.layer))
)
