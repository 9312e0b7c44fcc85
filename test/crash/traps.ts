/**
 * Named points inside a gateway that nothing outside of it could hit: moments between two statements of its database.
 * `programs/inside.ts` sets the trap in the process; whoever started it reads on its stderr that it was sprung.
 */

interface Watch {
  readonly before?: RegExp
  readonly after?: RegExp
  /** Only behind such a statement of the same transaction. */
  readonly following?: RegExp
  /** Only when it answered rows. */
  readonly withRows?: boolean
}

const watches = {
  "after commit before ack": { after: /^COMMIT$/, following: /^INSERT INTO slackwater_messages\b/ },
  "after ack before claim": { before: /^INSERT INTO slackwater_turns\b/ },
  "after the handler before commit": { before: /^UPDATE slackwater_turns SET owner = NULL, state = 'done'/ },
  "after commit before send": { after: /^COMMIT$/, following: /^INSERT INTO slackwater_outbox\b/ },
  "after send before record": { before: /^UPDATE slackwater_outbox SET state = 'delivered'/ },
  "inside migration": { after: /^CREATE\b/ },
  "inside prune": { after: /^DELETE FROM slackwater_(?:messages|turns|outbox)\b[^]*RETURNING/, withRows: true }
} satisfies Record<string, Watch>

export type TrapPoint = keyof typeof watches
export const traps: Readonly<Record<TrapPoint, Watch>> = watches
export const isTrap = (point: string): point is TrapPoint => point in traps

export interface Trap {
  readonly point: TrapPoint
  /** What the process sends itself. */
  readonly signal: NodeJS.Signals
  /** How many times the point may be passed before. */
  readonly pass: number
}

/** `sql` runs on the gateway's own connection; `clockMs` moves its wall clock and no timer. */
export interface Order {
  readonly sql?: string
  readonly clockMs?: number
}

/** What the process says on stderr when it is at its point. */
export const atPoint = (point: TrapPoint) => `at the point: ${point}\n`
