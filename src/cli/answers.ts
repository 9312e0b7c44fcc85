/**
 * What every command prints with `--json`, by its name: the schemas other programs may rely on. Fields may be added,
 * never changed.
 */
import type { Schema } from "effect"
import { BackedUp } from "./backup.ts"
import { Diagnosis } from "./findings.ts"
import { Health } from "./healthcheck.ts"
import { ImportReport } from "./importReport.ts"
import { OutboxChange, OutboxPage, OutboxRow } from "./outboxRows.ts"
import { Pruned } from "./prune.ts"
import { Sent } from "./send.ts"
import { NoAnswer, Status } from "./statusAnswer.ts"

export {
  BackedUp,
  Diagnosis,
  Health,
  ImportReport,
  NoAnswer,
  OutboxChange,
  OutboxPage,
  OutboxRow,
  Pruned,
  Sent,
  Status
}

export const answers = {
  backup: BackedUp,
  doctor: Diagnosis,
  healthcheck: Health,
  import: ImportReport,
  "outbox discard": OutboxChange,
  "outbox list": OutboxPage,
  "outbox retry": OutboxChange,
  "outbox show": OutboxRow,
  prune: Pruned,
  send: Sent,
  status: Status
} satisfies Readonly<Record<string, Schema.Codec<unknown, unknown>>>
