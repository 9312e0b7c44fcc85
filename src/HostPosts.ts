/**
 * What the host sends on its own, outside of any turn: a message, or a file.
 *
 * Guarantees: on disk when it returns, or part of the transaction that the caller has open; with a key it is made once.
 * A file's bytes are on disk before its row, each time under a name of its own: no other attempt, whether it is rolled
 * back or repeats a key, takes them away. Those that get no row are removed as soon as that is sure, and after a crash,
 * or where that is never sure, by the sweep (`sweepSpool`).
 */
import { Effect, FiberSet } from "effect"
import { problemOf } from "./Dispatch.ts"
import { HostTransaction } from "./HostTransaction.ts"
import type { Reply } from "./Message.ts"
import { type NewReply, OutboxStore, type StoredReply } from "./OutboxStore.ts"
import { type ReplyDoor, ReplyHandle } from "./ReplyHandle.ts"
import { type FileUpload, hostSpot, rowOfUpload, rowsOfReply } from "./replyRows.ts"
import { type FileContent, Spool, type SpoolError, type Staged } from "./Spool.ts"
import type { StoreError } from "./StoreError.ts"
import { FileRefused, ReplyFailed, TurnError } from "./TurnError.ts"

interface Place {
  readonly channel: string
  readonly threadTs?: string
}

/** A message that the host sends. */
export interface Post extends Place, Reply {}

/** A file that the host posts. */
export interface FilePost extends Place {
  readonly file: Omit<FileUpload, "key">
  readonly key?: string
}

const refused = (error: SpoolError) => new TurnError({ reason: new FileRefused({ detail: error.message }) })

export const makeHostPosts = Effect.fnUntraced(function*(room: {
  readonly commit: (
    rows: ReadonlyArray<NewReply>,
    from: null
  ) => Effect.Effect<ReadonlyArray<StoredReply>, StoreError>
  readonly stage: (content: FileContent) => Effect.Effect<Staged, SpoolError>
  readonly door: ReplyDoor
}) {
  const { commit, door, stage } = room
  const host = yield* HostTransaction
  const store = yield* OutboxStore
  const spool = yield* Spool
  /** Outside of the caller's transaction: what is asked there has to wait for its end. */
  const runApart = yield* FiberSet.makeRuntime()

  /** Its row was there already, or its transaction was rolled back. */
  const removeUnwanted = (name: string) =>
    Effect.flatMap(store.spooled, (wanted) => wanted.includes(name) ? Effect.void : spool.remove(name)).pipe(
      Effect.catch((error) => Effect.logDebug("a file that may be unwanted waits for the sweep", error))
    )

  const rowsOfFile = Effect.fnUntraced(function*(
    spot: Effect.Success<ReturnType<typeof hostSpot>>,
    { file, key }: FilePost,
    notBefore: number | undefined
  ) {
    if (file.filename.trim() === "") {
      return yield* new TurnError({ reason: new ReplyFailed({ detail: "a file without a name" }) })
    }
    const staged = yield* Effect.mapError(stage(file.content), refused)
    const made = yield* rowOfUpload(spot, key === undefined ? file : { ...file, key }, staged, notBefore)
    yield* Effect.mapError(spool.keep(staged, made.spool), refused)
    return { rows: [made.row], spool: made.spool }
  })

  const enqueue = Effect.fn("Outbox.enqueue")(function*(
    post: Post | FilePost,
    options: { readonly notBefore?: Date } = {}
  ) {
    const { channel, threadTs, ...content } = post
    const destination = threadTs === undefined ? { channel } : { channel, threadTs }
    const spot = yield* hostSpot(destination)
    const notBefore = options.notBefore?.getTime()
    const isNoTime = notBefore !== undefined && Number.isNaN(notBefore)
    const problem = isNoTime ? "notBefore is no moment" : "file" in post ? undefined : problemOf(post)
    if (problem !== undefined) return yield* new TurnError({ reason: new ReplyFailed({ detail: problem }) })
    const made = "file" in post
      ? yield* rowsOfFile(spot, post, notBefore)
      : { rows: yield* rowsOfReply(spot, content, notBefore), spool: undefined }
    const ids = (yield* commit(made.rows, null)).map(({ id }) => id)
    if (made.spool !== undefined) {
      if (yield* host.isOpen) runApart(removeUnwanted(made.spool))
      else yield* removeUnwanted(made.spool)
    }
    return new ReplyHandle(door, ids, { messages: { rows: ids, lane: spot.lane, destination } })
  })

  return enqueue
})
