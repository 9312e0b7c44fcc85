/**
 * The spool as files in the data directory: mode 0600 in a directory of mode 0700.
 *
 * A copy is written under a name of its own, brought to disk, and renamed: under its name a file is there in full or
 * not at all.
 */
import { Effect, Layer } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { openAsBlob } from "node:fs"
import { access, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { GatewayConfig } from "../GatewayConfig.ts"
import { type FileContent, Spool, SpoolError, SpoolUnavailable, TooLarge } from "../Spool.ts"

const unavailable = (error: unknown) =>
  error instanceof SpoolError ? error : new SpoolError({
    // Not the message, which names the whole path.
    reason: new SpoolUnavailable({ detail: String((error as { readonly code?: unknown }).code ?? "unknown") })
  })

const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const directoryIn = (dataDir: string) => join(dataDir, "spool")
const pathIn = (dataDir: string, name: string) => join(directoryIn(dataDir), name.replaceAll(/[^\w.-]/g, "_"))

/** For a command beside the gateway: it may be gone already. */
export const removeFrom = (dataDir: string, name: string) => attempt(() => rm(pathIn(dataDir, name), { force: true }))

async function* chunksOf(content: FileContent): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield Buffer.from(content, "utf8")
  else if (content instanceof Uint8Array) yield content
  else {
    const file = await open(content.path)
    for await (const chunk of file.createReadStream()) yield chunk
  }
}

export const layer: Layer.Layer<Spool, never, GatewayConfig> = Layer.effect(
  Spool,
  Effect.gen(function*() {
    const { dataDir } = yield* GatewayConfig
    const directory = directoryIn(dataDir)
    const at = (name: string) => pathIn(dataDir, name)

    const syncDirectory = async () => {
      const handle = await open(directory)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    }

    const write = async (content: FileContent, limit: number, copy: string) => {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const hash = createHash("sha256")
      const file = await open(at(copy), "wx", 0o600)
      let bytes = 0
      try {
        for await (const chunk of chunksOf(content)) {
          bytes += chunk.length
          if (bytes > limit) throw new SpoolError({ reason: new TooLarge({ limit }) })
          hash.update(chunk)
          await file.appendFile(chunk)
        }
        await file.sync()
      } finally {
        await file.close()
      }
      return { copy, bytes, digest: hash.digest("hex") }
    }

    return Spool.of({
      stage: (content, limit) => {
        const copy = `${randomUUID()}.copy`
        return attempt(() => write(content, limit, copy)).pipe(
          Effect.onError(() => Effect.ignore(attempt(() => rm(at(copy), { force: true }))))
        )
      },
      keep: ({ copy }, name) =>
        attempt(async () => {
          const isThere = await access(at(name)).then(() => true, () => false)
          if (isThere) return await rm(at(copy), { force: true })
          await rename(at(copy), at(name))
          await syncDirectory()
        }),
      read: (name) => attempt(() => openAsBlob(at(name))),
      remove: (name) => attempt(() => rm(at(name), { force: true })),
      list: (changedBefore) =>
        attempt(async () => {
          const names = await readdir(directory).catch(() => [])
          const dated = await Promise.all(names.map(async (name) => ({
            name,
            changed: await stat(at(name)).then(({ mtimeMs }) => mtimeMs, () => Infinity)
          })))
          return dated.filter(({ changed }) => changed < changedBefore).map(({ name }) => name)
        })
    })
  })
)
