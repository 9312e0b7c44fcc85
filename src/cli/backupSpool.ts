/**
 * The files that wait to be uploaded, copied for a backup. Under its name a file in the spool is whole and never changes
 * (`files/Spool.ts`), and may be gone the next moment, when it was sent.
 */
import { Effect } from "effect"
import { constants, existsSync } from "node:fs"
import { chmod, copyFile, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { copyError } from "../sql/backup.ts"

const isGone = (error: unknown) => error instanceof Error && Reflect.get(error, "code") === "ENOENT"

/** Copies what is not there yet. */
export const copySpool = (from: string, to: string) =>
  Effect.tryPromise({
    try: async () => {
      if (!existsSync(from)) return
      await mkdir(to, { recursive: true, mode: 0o700 })
      for (const name of await readdir(from)) {
        const copy = join(to, name)
        if (existsSync(copy)) continue
        try {
          await copyFile(join(from, name), `${copy}.part`, constants.COPYFILE_FICLONE)
          await chmod(`${copy}.part`, 0o600)
          await rename(`${copy}.part`, copy)
        } catch (error) {
          if (!isGone(error)) throw error
        }
      }
    },
    catch: copyError(to)
  })

/** Removes what no reply needs: names are those of files, or of one that cannot be read their beginning. */
export const keepOnly = (folder: string, wanted: ReadonlyArray<string>) =>
  Effect.tryPromise({
    try: async () => {
      const names = existsSync(folder) ? await readdir(folder) : []
      const needed = new Set(wanted)
      const kept = new Set<string>()
      let [files, bytes] = [0, 0]
      for (const name of names) {
        const need = [name, name.split(".")[0] ?? name].find((known) => needed.has(known))
        if (need === undefined) {
          await rm(join(folder, name), { force: true })
          continue
        }
        kept.add(need)
        files += 1
        bytes += (await stat(join(folder, name))).size
      }
      return { files, bytes, missing: [...needed].filter((name) => !kept.has(name)).length }
    },
    catch: copyError(folder)
  })

/** A file, or the names in a folder, to disk. */
export const sync = async (path: string): Promise<void> => {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** All files in the folder, and the folder. */
export const syncAll = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder)) await sync(join(folder, name))
  await sync(folder)
}
