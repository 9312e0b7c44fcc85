/**
 * A disk that forgets what was not synced: the files of a database as they may be found after the power went, rebuilt
 * from what the process wrote (`trace.ts`).
 *
 * Between two syncs of a file each write since the first may be there, be missing, or be there in part, whatever became
 * of the others. A file is there, or gone, or cut, as soon as the process said so.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Traced } from "./trace.ts"

/** One write of a page, or of a page with the header of its frame. */
export interface Page {
  readonly offset: number
  readonly bytes: Buffer
}

/** What became of an unsynced page. */
export const fates = ["missing", "whole", "first half", "second half"] as const
export type Fate = typeof fates[number]

export type Files = ReadonlyMap<string, Buffer>

/** The disk at a moment: what is safe, and what was written to each file since its last sync. */
export interface Moment {
  readonly safe: Files
  readonly unsynced: ReadonlyMap<string, ReadonlyArray<Page>>
  /** Acknowledged before the next sync of any file is done. */
  readonly acked: ReadonlyArray<string>
  /** The file whose sync ended the time before. */
  readonly synced: string
}

const put = (file: Buffer, { bytes, offset }: Page): Buffer => {
  const grown = offset + bytes.length > file.length ? Buffer.alloc(offset + bytes.length) : Buffer.alloc(file.length)
  file.copy(grown)
  bytes.copy(grown, offset)
  return grown
}

/** The header of a frame and its page are two writes; together they are one. */
const joinFrames = (pages: ReadonlyArray<Page>): ReadonlyArray<Page> => {
  const joined: Array<Page> = []
  for (const page of pages) {
    const last = joined.at(-1)
    if (last !== undefined && last.bytes.length === 24 && last.offset + 24 === page.offset) {
      joined[joined.length - 1] = { offset: last.offset, bytes: Buffer.concat([last.bytes, page.bytes]) }
    } else joined.push(page)
  }
  return joined
}

const isOurs = (file: string) => file.startsWith("slackwater.db") && !file.endsWith("-shm")

/** The disk after every sync, with what was written and acknowledged from then to the next one. */
export const momentsOf = (trace: ReadonlyArray<Traced>): ReadonlyArray<Moment> => {
  const safe = new Map<string, Buffer>()
  const unsynced = new Map<string, Array<Page>>()
  const acked: Array<string> = []
  const moments: Array<Moment> = []
  let synced: string | undefined
  const close = () => {
    if (synced === undefined) return
    const pages = [...unsynced].map(([file, written]) => [file, joinFrames(written)] as const)
    moments.push({ safe: new Map(safe), unsynced: new Map(pages), acked: [...acked], synced })
  }
  for (const event of trace) {
    if (event._tag === "Ack") acked.push(event.envelopeId)
    else if (isOurs(event.file)) {
      const { file } = event
      if (event._tag === "Write") unsynced.set(file, [...unsynced.get(file) ?? [], event])
      if (event._tag === "Unlink") {
        safe.delete(file)
        unsynced.delete(file)
      }
      if (event._tag === "Truncate") {
        safe.set(file, Buffer.from((safe.get(file) ?? Buffer.alloc(0)).subarray(0, event.size)))
      }
      if (event._tag === "Sync") {
        close()
        safe.set(file, (unsynced.get(file) ?? []).reduce(put, safe.get(file) ?? Buffer.alloc(0)))
        unsynced.delete(file)
        synced = file
      }
    }
  }
  close()
  return moments
}

/** The files with the unsynced pages of one of them as fate would have it. */
export const withFates = ({ safe, unsynced }: Moment, file: string, fate: ReadonlyArray<Fate>): Files => {
  const found = (unsynced.get(file) ?? []).reduce((content, { bytes, offset }, at) => {
    const half = Math.floor(bytes.length / 2)
    switch (fate[at]) {
      case "whole":
        return put(content, { bytes, offset })
      case "first half":
        return put(content, { bytes: bytes.subarray(0, half), offset })
      case "second half":
        return put(content, { bytes: bytes.subarray(half), offset: offset + half })
      default:
        return content
    }
  }, safe.get(file) ?? Buffer.alloc(0))
  return new Map(safe).set(file, found)
}

/** Opens the files as the next gateway would find them: whether they are whole, and which events they know. */
export const reopen = (files: Files, directory: string) => {
  mkdirSync(directory)
  try {
    for (const [file, content] of files) writeFileSync(join(directory, file), content)
    const database = new DatabaseSync(join(directory, "slackwater.db"), { timeout: 10_000 })
    try {
      database.exec("PRAGMA synchronous = OFF")
      const check = Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0]
      const hasKeys = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'slackwater_message_keys'").get()
      const rows = hasKeys === undefined
        ? []
        : database.prepare("SELECT key FROM slackwater_message_keys WHERE key LIKE 'event:%'").all()
      return { check: String(check), events: new Set(rows.map((row) => String(row["key"]).slice("event:".length))) }
    } finally {
      database.close()
    }
  } catch (error) {
    return { check: String(error), events: new Set<string>() }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
