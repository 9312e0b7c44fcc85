/** What is found in the data directory: the database, who may read what, the room that is left. Changes nothing. */
import { Effect } from "effect"
import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { inspect } from "../sql/inspect.ts"
import { type Finding, ok, warning, wrong } from "./findings.ts"
import { oneLine } from "./terminalText.ts"

const megabyte = 1_000_000
/** Below this the next burst may not fit; and below that the next hour. */
const littleRoom = 1_000 * megabyte
const noRoom = 100 * megabyte

const shown = 5
const listed = (paths: ReadonlyArray<string>) =>
  paths.slice(0, shown).map(oneLine).join(" ") + (paths.length > shown ? ` and ${paths.length - shown} more` : "")

const nearest = (path: string): string => existsSync(path) ? path : nearest(dirname(path))

/** Everything of the gateway's, folders first. */
const ownFiles = (dataDir: string): ReadonlyArray<string> => {
  const spool = join(dataDir, "spool")
  const names = ["slackwater.db", "slackwater.db-wal", "slackwater.db-shm", "owner.lock", "heartbeat.json", "wake"]
  return [
    dataDir,
    ...names.map((name) => join(dataDir, name)),
    spool,
    ...(existsSync(spool) ? readdirSync(spool).map((name) => join(spool, name)) : [])
  ].filter((path) => existsSync(path))
}

const mayUse = (path: string, mode: number) => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

export const permissionFindings = (dataDir: string): ReadonlyArray<Finding> => {
  if (!existsSync(dataDir)) {
    const above = nearest(dataDir)
    return mayUse(above, constants.W_OK | constants.X_OK)
      ? [ok("data directory", `${oneLine(dataDir)} is made at the first start`)]
      : [
        wrong(
          "data directory",
          `${oneLine(dataDir)} cannot be made in ${oneLine(above)}`,
          "let this user write there, or set SLACKWATER_DATA_DIR"
        )
      ]
  }
  const here = ownFiles(dataDir)
  const closed = here.filter((path) =>
    !mayUse(path, constants.R_OK | constants.W_OK | (statSync(path).isDirectory() ? constants.X_OK : 0))
  )
  const wide = here.filter((path) => (statSync(path).mode & 0o077) !== 0)
  const folders = wide.filter((path) => statSync(path).isDirectory())
  const files = wide.filter((path) => !folders.includes(path))
  const commands = [
    ...(folders.length === 0 ? [] : [`chmod 700 ${listed(folders)}`]),
    ...(files.length === 0 ? [] : [`chmod 600 ${listed(files)}`])
  ]
  return [
    closed.length === 0
      ? ok("data directory", oneLine(dataDir))
      : wrong(
        "data directory",
        `this user may not read and write ${listed(closed)}`,
        "run slackwater as the user to whom they belong, or give them to this one"
      ),
    wide.length === 0
      ? ok("permissions", "nobody else can read the data")
      : wrong("permissions", `others can read or write ${listed(wide)}`, commands.join("; "))
  ]
}

/** Whether what is left is enough. */
export const roomFinding = (free: number): Finding => {
  const says = `${Math.floor(free / megabyte)} MB free`
  const fix = "make room, or let finished rows go earlier (slackwater prune, SLACKWATER_RETENTION)"
  return free < noRoom ? wrong("disk", says, fix) : free < littleRoom ? warning("disk", says, fix) : ok("disk", says)
}

export const diskFinding = (dataDir: string): Finding => {
  const { bavail, bsize } = statfsSync(nearest(dataDir))
  return roomFinding(bavail * bsize)
}

/** Of the database, beside whoever writes it; and whose data it holds. */
export const checkDatabase = Effect.fnUntraced(function*(dataDir: string, deep: boolean) {
  const file = join(dataDir, "slackwater.db")
  if (!existsSync(file)) {
    return { team: "", findings: [ok("database", "none yet: it is made at the first start")] }
  }
  const looked = yield* Effect.result(inspect(file, { deep }))
  if (looked._tag === "Failure") {
    const says = looked.failure.message
    return { team: "", findings: [wrong("database", oneLine(says), "see docs/operating.md, Backup and restore")] }
  }
  const { damage, found, known, team } = looked.success
  const findings: ReadonlyArray<Finding> = [
    damage.length === 0
      ? ok("database", `sound (${deep ? "integrity_check" : "quick_check; --deep looks at more"})`)
      : wrong(
        "database",
        `damaged: ${oneLine(damage.join("; ")).slice(0, 300)}`,
        "stop the gateway, keep the file, and restore a backup (docs/operating.md)"
      ),
    found > known
      ? wrong("schema", `${found}, of a newer release; this one knows ${known}`, "install that release again")
      : ok("schema", found === known ? String(found) : `${found}; the next start of a gateway brings it to ${known}`)
  ]
  return { team, findings }
})
