/**
 * What is due and what will be, as the dispatcher asks for it after each burst: texts, prepared once.
 *
 * What they cost depends on how much is asked for, and not on how much waits or has ended: each part reads a partial
 * index of what is unfinished.
 */
import { allPaused, freeOf } from "./Control.ts"
import { boundLimit } from "./limit.ts"

const free = freeOf("conversation")
const few = `CASE WHEN ${allPaused} THEN 0 ELSE ? END`

/** The first waiting message of each conversation, found by index. */
export const readyText = `SELECT conversation, recovered FROM (
    SELECT * FROM (SELECT conversation, min(due) AS due, 0 AS recovered FROM (
      SELECT * FROM (SELECT conversation, due_at AS due FROM slackwater_turns
        WHERE state = 'waiting' AND interrupted = 0 AND due_at <= ? AND ${free}
        ORDER BY due_at LIMIT ${few})
      UNION ALL
      SELECT * FROM (SELECT conversation, due_at AS due FROM slackwater_turns a
        WHERE state = 'failed' AND finished_at IS NULL AND due_at <= ?
          AND NOT EXISTS (SELECT 1 FROM slackwater_turns t
            WHERE t.conversation = a.conversation AND t.state IN ('running', 'waiting'))
          AND NOT EXISTS (SELECT 1 FROM slackwater_turns e
            WHERE e.conversation = a.conversation AND e.state = 'failed' AND e.finished_at IS NULL
              AND (e.due_at, e.created_at, e.id) < (a.due_at, a.created_at, a.id))
          AND ${free}
        ORDER BY due_at LIMIT ${few})
      UNION ALL
      SELECT * FROM (SELECT conversation, due_at AS due FROM slackwater_messages m
        WHERE state = 'queued' AND turn_id IS NULL AND due_at <= ?
          AND NOT EXISTS (SELECT 1 FROM slackwater_turns t
            WHERE t.conversation = m.conversation AND t.state IN ('running', 'waiting'))
          AND NOT EXISTS (SELECT 1 FROM slackwater_messages e
            WHERE e.conversation = m.conversation AND e.state = 'queued' AND e.turn_id IS NULL
              AND (e.due_at, e.id) < (m.due_at, m.id))
          AND ${free}
        ORDER BY due_at, id LIMIT ${few})
    ) GROUP BY conversation ORDER BY due ${boundLimit})
    UNION ALL
    SELECT * FROM (SELECT conversation, due_at AS due, 1 AS recovered FROM slackwater_turns
      WHERE state = 'waiting' AND interrupted = 1 AND due_at <= ? AND ${free}
      ORDER BY due_at LIMIT ${few})
  ) ORDER BY due`

export const nextDueAtText = `SELECT CASE WHEN ${allPaused} THEN NULL ELSE (SELECT min(due) FROM (
    SELECT min(due_at) AS due FROM slackwater_turns WHERE state = 'waiting' AND interrupted = 0 AND ${free}
    UNION ALL
    SELECT min(due_at) AS due FROM slackwater_turns WHERE state = 'waiting' AND interrupted = 1 AND ${free}
    UNION ALL
    SELECT min(due_at) AS due FROM slackwater_turns a
      WHERE state = 'failed' AND finished_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM slackwater_turns t
        WHERE t.conversation = a.conversation AND t.state IN ('running', 'waiting')) AND ${free}
    UNION ALL
    SELECT min(due_at) AS due FROM slackwater_messages m
      WHERE state = 'queued' AND turn_id IS NULL AND NOT EXISTS (
        SELECT 1 FROM slackwater_turns t
        WHERE t.conversation = m.conversation AND t.state IN ('running', 'waiting')) AND ${free})) END AS due`
