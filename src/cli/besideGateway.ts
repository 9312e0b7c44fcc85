/**
 * Where commands work: on the stores of the configured data directory, whether a gateway runs on it or not. What they
 * changed takes effect at once: a gateway that runs is woken, however the command ends.
 */
import { Effect } from "effect"
import { setting } from "../GatewayConfig.ts"
import * as Beside from "../sql/Beside.ts"
import * as WakeFile from "../WakeFile.ts"
import { reading } from "./settings.ts"

/** What commands read of the settings: no tokens. */
export const commandSettings = reading(Effect.all({ dataDir: setting("dataDir"), outboxTtl: setting("outboxTtl") }))

/** Where there is no database one is made, unless `mayMake` is false: rows that must be there are not in a new one. */
export const changing =
  (dataDir: string, options: { readonly mayMake?: boolean } = {}) => <A, E, R>(change: Effect.Effect<A, E, R>) =>
    change.pipe(
      Effect.ensuring(WakeFile.touch(dataDir)),
      Effect.provide(Beside.layer(dataDir, options), { local: true })
    )

/** The same for a command with statements of its own, on a database that is there. */
export const onDatabase = (dataDir: string, mayChange: boolean) => <A, E, R>(work: Effect.Effect<A, E, R>) =>
  work.pipe(
    Effect.ensuring(mayChange ? WakeFile.touch(dataDir) : Effect.void),
    Effect.provide(Beside.database(dataDir, { mayChange }), { local: true })
  )

/** Only looks. */
export const looking = (dataDir: string) => <A, E, R>(look: Effect.Effect<A, E, R>) =>
  Effect.provide(look, Beside.layer(dataDir, { mayChange: false, mayMake: false }), { local: true })
