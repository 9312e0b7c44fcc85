import { Effect, Layer } from "effect"
import * as Files from "../../src/files/Spool.ts"
import { suite } from "../contract/SpoolContract.ts"
import { temporaryDirectory } from "../fixtures/gateway.ts"
import { settings } from "../fixtures/stores.ts"

suite(
  "files",
  Layer.unwrap(Effect.map(temporaryDirectory, (dataDir) => Files.layer.pipe(Layer.provide(settings({ dataDir })))))
)
