/**
 * The folder of a legacy file queue: found, and read.
 *
 * Given the queue's folder or the one it is in; failed entries lie in a folder `failed` inside it or beside it. Reads
 * plain files only: links are not followed, and what is larger than 10 MB is not read.
 */
import { Effect, Runtime, Schema } from "effect"
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import type { LegacyFile } from "./LegacyQueue.ts"

/** The folder cannot be read, or is none of these: usage. */
export class QueueFolderError extends Schema.TaggedError<QueueFolderError>()("QueueFolderError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 64
  override get message(): string {
    return `${this.path}: ${this.detail}; give the folder delivery-queue, or the one it is in`
  }
}

const queueName = "delivery-queue"
const failedName = "failed"
const largest = 10 * 1024 * 1024

export interface QueueFolder {
  /** The folder that the queue lies in; files are named from here. */
  readonly root: string
  readonly files: ReadonlyArray<LegacyFile>
}

const unread = (reason: string, skip = true) => ({ unread: reason, skip })

const contentOf = (path: string, entry: Dirent): LegacyFile["content"] => {
  if (entry.isSymbolicLink()) return unread("it is a link, and links are not followed")
  if (!entry.isFile()) return unread("it is no file")
  if (!entry.name.endsWith(".json")) return ""
  // What the name stands for may have changed since it was listed.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = fstatSync(descriptor)
    return size > largest
      ? unread("it is larger than 10 MB, and was not read", false)
      : readFileSync(descriptor, "utf8")
  } finally {
    closeSync(descriptor)
  }
}

const filesIn = (root: string, folder: string, isFailed: boolean): ReadonlyArray<LegacyFile> =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry): ReadonlyArray<LegacyFile> => {
    if (!isFailed && entry.isDirectory() && entry.name === failedName) return []
    const file = { folder, name: entry.name, isFailed }
    try {
      return [{ ...file, content: contentOf(join(root, folder, entry.name), entry) }]
    } catch (error) {
      return [{ ...file, content: unread(`it cannot be read: ${error instanceof Error ? error.message : ""}`, false) }]
    }
  })

const isFolder = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const read = (dir: string): QueueFolder => {
  const given = realpathSync(dir)
  const queue = isFolder(join(given, queueName)) ? join(given, queueName) : given
  const root = dirname(queue)
  const folder = basename(queue)
  // Beside some other folder, one of this name is somebody else's.
  const failed = [join(folder, failedName), ...folder === queueName ? [failedName] : []]
    .filter((path) => isFolder(join(root, path)))
  const inQueue = filesIn(root, folder, false)
  const isQueue = folder === queueName || failed.length > 0 || inQueue.length === 0 ||
    inQueue.some(({ name }) => /\.(json|delivered)$/.test(name))
  if (!isQueue) throw new Error("there is no queue in it")
  return { root, files: [...inQueue, ...failed.flatMap((path) => filesIn(root, path, true))] }
}

export const readQueueFolder = (dir: string): Effect.Effect<QueueFolder, QueueFolderError> =>
  Effect.try({
    try: () => read(dir),
    catch: (error) => {
      const code = error instanceof Error && "code" in error ? error.code : undefined
      const detail = code === "ENOENT" ? "there is no such folder" : code === "ENOTDIR" ? "it is no folder" : undefined
      return new QueueFolderError({
        path: dir,
        detail: detail ?? (error instanceof Error ? error.message : String(error))
      })
    }
  })
