/**
 * What every command prints with `--json`, by its name: the schemas other programs may rely on. Fields may be added,
 * never changed.
 */
import type { Schema } from "effect"
import { InboxDetail, InboxPage } from "../InboxRow.ts"
import { OutboxPage, OutboxRow } from "../OutboxRow.ts"
import { BackedUp } from "./backup.ts"
import { CancelReport, PauseChange } from "./controlReports.ts"
import { Diagnosis } from "./findings.ts"
import { ForgetReport } from "./forget.ts"
import { Health } from "./healthcheck.ts"
import { ImportReport } from "./importReport.ts"
import { Pruned } from "./prune.ts"
import { RowChange } from "./rowChange.ts"
import { Sent } from "./send.ts"
import { Status } from "./statusAnswer.ts"

export const answers = {
  backup: BackedUp,
  cancel: CancelReport,
  doctor: Diagnosis,
  forget: ForgetReport,
  healthcheck: Health,
  import: ImportReport,
  "inbox discard": RowChange,
  "inbox list": InboxPage,
  "inbox retry": RowChange,
  "inbox show": InboxDetail,
  "outbox discard": RowChange,
  "outbox list": OutboxPage,
  "outbox retry": RowChange,
  "outbox show": OutboxRow,
  pause: PauseChange,
  prune: Pruned,
  resume: PauseChange,
  send: Sent,
  status: Status
} satisfies Readonly<Record<string, Schema.Codec<unknown, unknown>>>
