/**
 * Counts the commits that reached a SQLite file in WAL mode, whoever made them: each transaction's last frame in the log
 * carries the size of the database.
 *
 * While it counts, a reader holds the log, so that no checkpoint begins it anew. The reader must be of the same library as
 * the writer: two libraries in one process take each other's locks away.
 */
import { readFileSync } from "node:fs"

export interface Reader {
  readonly exec: (sql: string) => unknown
  readonly close: () => unknown
}

const headerBytes = 32
const frameHeaderBytes = 24

const commitsIn = (wal: Buffer): number => {
  if (wal.length < headerBytes) return 0
  const frame = frameHeaderBytes + wal.readUInt32BE(8)
  let commits = 0
  for (let at = headerBytes; at + frame <= wal.length; at += frame) {
    // Frames of an earlier round of the log have other salts.
    const isCurrent = wal.readUInt32BE(at + 8) === wal.readUInt32BE(16) &&
      wal.readUInt32BE(at + 12) === wal.readUInt32BE(20)
    if (isCurrent && wal.readUInt32BE(at + 4) !== 0) commits += 1
  }
  return commits
}

export const countingCommits = (file: string, openReader: () => Reader) => (): Promise<() => Promise<number>> => {
  const reader = openReader()
  reader.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  reader.exec("BEGIN")
  reader.exec("SELECT 1 FROM sqlite_schema LIMIT 1")
  const before = commitsIn(readFileSync(`${file}-wal`))
  return Promise.resolve(() => {
    const commits = commitsIn(readFileSync(`${file}-wal`)) - before
    reader.exec("COMMIT")
    reader.close()
    return Promise.resolve(commits)
  })
}
