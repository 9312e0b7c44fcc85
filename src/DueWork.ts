/**
 * What the dispatcher knows to be due without asking the database, and what is in somebody's hands already.
 *
 * Owns the conversations in which something has become due and has no slot yet, the first one first; those whose turn is
 * being claimed, or for whose message a slot is promised; and whether that is all. It is not when somebody else may have
 * changed rows, or when a moment came that only the database knows: then it is asked (`ready`).
 * Pure memory, and bounded: of a long queue only the database knows all. Nothing of it is needed after a crash.
 */
import type { ConversationKey } from "./Message.ts"

/** Beyond so many the database is asked who is next. */
const most = 1_024

export class DueWork {
  /** In the order in which they fell due. */
  private readonly due = new Set<ConversationKey>()
  /** In hand, and whether something came since. */
  private readonly inHand = new Map<ConversationKey, boolean>()
  private asks = true

  get size(): number {
    return this.due.size
  }

  /** Slots that are taken by what is in hand. */
  get taken(): number {
    return this.inHand.size
  }

  /** There may be more than is known here. */
  get mustAsk(): boolean {
    return this.asks
  }

  /** Something may be due anywhere. */
  ask(): void {
    this.asks = true
    this.due.clear()
  }

  /** The database is being asked: what falls due from now on is known. */
  asked(): void {
    this.asks = false
    this.due.clear()
  }

  isInHand(key: ConversationKey): boolean {
    return this.inHand.has(key)
  }

  /** Something is due there. */
  add(key: ConversationKey): void {
    if (this.inHand.has(key)) this.inHand.set(key, true)
    else if (this.due.size >= most) this.ask()
    else if (!this.asks) this.due.add(key)
  }

  /** The first of them, no more than so many. */
  first(limit: number): ReadonlyArray<ConversationKey> {
    return [...this.due].slice(0, Math.max(0, limit))
  }

  /** It is being claimed, or promised a slot. */
  take(key: ConversationKey): void {
    this.due.delete(key)
    this.inHand.set(key, false)
  }

  /** It is neither any more. Answers whether something came to it meanwhile. */
  letGo(key: ConversationKey): boolean {
    const came = this.inHand.get(key) ?? false
    this.inHand.delete(key)
    return came
  }
}

/** Slots, and how many turns that were cut off run in them. */
interface Slots {
  readonly free: number
  readonly concurrency: number
  readonly running: number
  readonly lastWasRecovered: boolean
}

/** Takes from these lists the next ones for the free slots: turns that were cut off share them with the others. */
export const nextOf = (
  recovered: Array<ConversationKey>,
  others: Array<ConversationKey>,
  { concurrency, free, lastWasRecovered, running }: Slots
): ReadonlyArray<ConversationKey> => {
  const chosen: Array<ConversationKey> = []
  const share = Math.floor(concurrency / 2)
  let cutOff = running
  while (chosen.length < free) {
    const mayRecover = share === 0 ? !lastWasRecovered : cutOff < share
    const takesRecovered = others.length === 0 || (mayRecover && recovered.length > 0)
    const one = (takesRecovered ? recovered : others).shift()
    if (one === undefined) break
    if (takesRecovered) cutOff++
    chosen.push(one)
  }
  return chosen
}
