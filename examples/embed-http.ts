/** A web server with the gateway in it: who posts a deploy is answered when the message about it is on disk. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Gateway, Handler, Outbox } from "slackwater"

const Deploy = Schema.Struct({ id: Schema.String, what: Schema.String })

/** The same deploy is told once, however often it is posted. */
const deploys = HttpRouter.use((router) =>
  Effect.flatMap(Outbox, (outbox) =>
    router.add(
      "POST",
      "/deploys",
      Effect.gen(function*() {
        const { id, what } = yield* HttpServerRequest.schemaBodyJson(Deploy)
        yield* outbox.enqueue({ channel: "C0GENERAL", text: `Deployed: ${what}`, key: `deploy ${id}` })
        return HttpServerResponse.text("kept", { status: 202 })
      }).pipe(
        Effect.catchTag("SchemaError", () => Effect.succeed(HttpServerResponse.text("id and what?", { status: 400 })))
      )
    ))
)

const gateway = Gateway.layer({
  handler: Handler.make((turn) => turn.reply(`You said: ${turn.text}`)),
  config: { dataDir: "./bot-data" }
})
const server = Layer.unwrap(
  Effect.map(Config.Port("PORT").pipe(Config.withDefault(3000)), (port) => NodeHttpServer.layer(createServer, { port }))
)
/** Above the gateway, so it closes first: nobody is answered whose message is not kept. */
const web = HttpRouter.serve(deploys).pipe(Layer.provide(server), Layer.provideMerge(gateway))

NodeRuntime.runMain(Gateway.run.pipe(Effect.provide(web)))
