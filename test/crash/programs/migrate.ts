/**
 * Opens a new database in `<directory>/1`, `<directory>/2` … for ever, so that at any moment the odds are good that one
 * is being migrated. Goes on where a killed run stopped, with the very database that run left behind; says the number of
 * each that was opened and closed.
 */
import { ConfigProvider, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { GatewayConfig } from "../../../src/GatewayConfig.ts"
import * as Database from "../../../src/sql/Database.ts"

const directory = process.argv[2] ?? "."

const open = Effect.fnUntraced(function*(dataDir: string) {
  const environment = { SLACK_APP_TOKEN: "xapp-test", SLACK_BOT_TOKEN: "xoxb-test", SLACKWATER_DATA_DIR: dataDir }
  const config = GatewayConfig.layer().pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
  )
  yield* Layer.build(Database.layer.pipe(Layer.provide(config)))
}, Effect.scoped)

let number = 1
while (existsSync(join(directory, String(number + 1)))) number++
for (;; number++) {
  await Effect.runPromise(open(join(directory, String(number))))
  process.stdout.write(`${number}\n`)
}
