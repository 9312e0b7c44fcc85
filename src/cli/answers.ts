/**
 * What every command prints with `--json`, by its name: the schemas other programs may rely on. Fields may be added,
 * never changed.
 */
import { Schema } from "effect"
import { Health } from "./healthcheck.ts"
import { ImportReport } from "./importReport.ts"
import { OutboxPage, OutboxRow } from "./outboxRows.ts"
import { Pruned } from "./prune.ts"
import { RowChange } from "./rowChange.ts"
import { Sent } from "./send.ts"
import { NoAnswer, Status } from "./statusAnswer.ts"

export { Health, ImportReport, NoAnswer, OutboxPage, OutboxRow, Pruned, RowChange, Sent, Status }

export const answers = {
  healthcheck: Health,
  import: ImportReport,
  "outbox discard": RowChange,
  "outbox list": OutboxPage,
  "outbox retry": RowChange,
  "outbox show": OutboxRow,
  prune: Pruned,
  send: Sent,
  status: Status
} satisfies Readonly<Record<string, Schema.Codec<unknown, unknown>>>
