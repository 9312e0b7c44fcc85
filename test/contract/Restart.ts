/** What a contract suite needs besides the ports: an instance that starts over the same data, as after `kill -9`. */
import { Context, type Effect } from "effect"
import type { Instance, PreviousStop } from "../../src/Instance.ts"

export class Restart extends Context.Service<Restart, {
  /** Another instance starts; the last one did not say goodbye. */
  readonly crash: Effect.Effect<PreviousStop>
  /** Another instance starts after the last one marked its clean stop. */
  readonly restart: Effect.Effect<PreviousStop>
  /** The one that started last. */
  readonly instance: Effect.Effect<Instance["Service"]>
}>()("slackwater/test/Restart") {}
