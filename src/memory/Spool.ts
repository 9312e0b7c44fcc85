/** The spool in memory, for tests. Reads no files. See `Database.ts` for what it is for, and what not. */
import { Clock, Effect, Layer } from "effect"
import { fingerprint } from "../fingerprint.ts"
import { Spool, SpoolError, SpoolUnavailable, TooLarge } from "../Spool.ts"

export const layer = Layer.sync(Spool, () => {
  const files = new Map<string, { readonly content: Uint8Array<ArrayBuffer>; readonly changed: number }>()
  let copies = 0
  const missing = new SpoolError({ reason: new SpoolUnavailable({ detail: "ENOENT" }) })

  return Spool.of({
    stage: Effect.fnUntraced(function*(given, limit) {
      if (typeof given !== "string" && !(given instanceof Uint8Array)) return yield* missing
      const content = typeof given === "string" ? new TextEncoder().encode(given) : new Uint8Array(given)
      if (content.length > limit) return yield* new SpoolError({ reason: new TooLarge({ limit }) })
      const copy = `${++copies}.copy`
      files.set(copy, { content, changed: yield* Clock.currentTimeMillis })
      return { copy, bytes: content.length, digest: yield* fingerprint(content.join()) }
    }),
    keep: ({ copy }, name) =>
      Effect.suspend(() => {
        const file = files.get(copy)
        files.delete(copy)
        if (file === undefined) return Effect.fail(missing)
        if (!files.has(name)) files.set(name, file)
        return Effect.void
      }),
    read: (name) =>
      Effect.suspend(() => {
        const file = files.get(name)
        return file === undefined ? Effect.fail(missing) : Effect.succeed(new Blob([file.content]))
      }),
    remove: (name) => Effect.sync(() => void files.delete(name)),
    list: (changedBefore) =>
      Effect.sync(() => [...files].filter(([, { changed }]) => changed < changedBefore).map(([name]) => name))
  })
})
