/** Tells the rooms that rows have changed: like a command beside the gateway, by its wake file, after the commit. */
import { Context, Effect, type FileSystem, Layer, type Path } from "effect"
import { GatewayConfig } from "../GatewayConfig.ts"
import * as WakeFile from "../WakeFile.ts"

export class Wake extends Context.Service<Wake, { readonly touch: Effect.Effect<void> }>()("slackwater/http/Wake") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const { dataDir } = yield* GatewayConfig
      const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
      return Wake.of({ touch: Effect.provideContext(WakeFile.touch(dataDir), platform) })
    })
  )
}
