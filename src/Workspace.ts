/**
 * Whose messages these are: a data directory belongs to one workspace, the first that Slack named to it (port).
 * Adapters: `sql/Workspace.ts`, `memory/Workspace.ts`.
 *
 * `door` is the door out as the rooms get it: nothing is posted or looked up before Slack has said, once per start,
 * whom the token belongs to. A token of another workspace ends the gateway with 78, since what waits here was meant for
 * other people. While Slack cannot be asked, replies wait as in any outage, and no attempt is counted.
 * Does not: tell whether the app token is of the same workspace; Slack alone knows that.
 */
import { Context, Effect, Layer, Semaphore } from "effect"
import { GatewayConfig } from "./GatewayConfig.ts"
import { GatewayStatus } from "./GatewayStatus.ts"
import { describe, type Identity, NotSent, SlackApi, SlackApiError } from "./SlackApi.ts"
import type { StoreError } from "./StoreError.ts"
import { GaveUp, Supervisor } from "./Supervisor.ts"

const notSent = (detail: string) => new SlackApiError({ method: "auth.test", reason: new NotSent({ detail }) })

/** What a failed question means for a reply: it was not sent, whatever became of the question. */
const asNotSent = (error: SlackApiError) =>
  error.reason._tag === "Ambiguous" || error.reason._tag === "Permanent" ? notSent(describe(error.reason)) : error

export class Workspace extends Context.Service<Workspace, {
  /** The workspace that the data belong to; from now on `team`, where there was none. */
  readonly belongsTo: (team: string) => Effect.Effect<string, StoreError>
}>()("slackwater/Workspace") {
  static readonly door = Layer.effect(
    SlackApi,
    Effect.gen(function*() {
      const api = yield* SlackApi
      const { dataDir } = yield* GatewayConfig
      const status = yield* GatewayStatus
      const supervisor = yield* Supervisor
      const workspace = yield* Workspace
      const asking = yield* Semaphore.make(1)
      let settled = false

      const settle = Effect.fnUntraced(function*({ team }: Identity) {
        // An organisation's token may name no workspace: there is nothing to compare then.
        const owner = team === "" ? team : yield* Effect.mapError(
          workspace.belongsTo(team),
          (error) => notSent(error.message)
        )
        if (owner !== team) {
          const detail = `the data in ${dataDir} belong to workspace ${owner}, and SLACK_BOT_TOKEN to ${team}; ` +
            `give ${team} its own SLACKWATER_DATA_DIR, or use the token of ${owner}`
          yield* status.raise("workspace", detail)
          if (!(yield* status.wasConnected)) {
            yield* supervisor.giveUp(new GaveUp({ fiber: "workspace", exitCode: 78, detail }))
          }
          return yield* notSent(detail)
        }
        settled = true
      })

      const identity = Effect.tap(api.identity, (self) => settled ? Effect.void : settle(self))
      const known = Effect.mapError(
        asking.withPermit(Effect.suspend(() => settled ? Effect.void : Effect.asVoid(identity))),
        asNotSent
      )
      const once = Effect.suspend(() => settled ? Effect.void : known)

      return SlackApi.of({
        identity,
        answers: api.answers,
        send: (...call) => Effect.andThen(once, api.send(...call)),
        setStatus: (...call) => Effect.andThen(once, api.setStatus(...call)),
        find: (...call) => Effect.andThen(once, api.find(...call)),
        conversations: (...call) => Effect.andThen(once, api.conversations(...call)),
        history: (...call) => Effect.andThen(once, api.history(...call)),
        replies: (...call) => Effect.andThen(once, api.replies(...call))
      })
    })
  )
}
