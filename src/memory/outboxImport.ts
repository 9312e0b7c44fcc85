/** Rows taken over from another queue, in memory. What we never sent ourselves has no `sentAt`. */
import type { ImportedReply } from "../OutboxStore.ts"
import type { Data } from "./Database.ts"
import { checkReplies, newRow } from "./outboxRows.ts"

/** Group by group; answers which of them were new. */
export const importReplies = (
  data: Data,
  groups: ReadonlyArray<ReadonlyArray<ImportedReply>>,
  now: number
): ReadonlyArray<boolean> => {
  checkReplies(groups.flat())
  return groups.map((rows) => {
    const keys = new Set(rows.map(({ key }) => key))
    if ([...data.replies.values()].some(({ key }) => keys.has(key))) return false
    let first: number | null = null
    for (const row of rows) {
      const { attempts, enqueuedAt, failedAt, failure, state } = row
      const added = newRow(data.nextReply++, row, null, row.part === undefined ? null : first, enqueuedAt)
      if (row.part === undefined) first = added.id
      Object.assign(added, { ...failure, state, attempts, failedAt, tries: attempts, dueAt: now })
      if (state === "unknown") Object.assign(added, { unknownSince: failedAt ?? enqueuedAt, late: true, held: true })
      else if (state !== "queued") added.finishedAt = now
      if (state === "delivered") added.at = { channel: row.destination.channel, ts: "" }
      data.replies.set(added.id, added)
    }
    return true
  })
}
