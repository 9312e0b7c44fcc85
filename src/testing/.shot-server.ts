import { Effect } from "effect"
import { LocalSlack } from "./index.ts"
await Effect.runPromise(LocalSlack.use((s) => Effect.andThen(Effect.sync(() => console.log(s.url)), Effect.never)).pipe(Effect.provide(LocalSlack.layer({ port: 8799 }))))
