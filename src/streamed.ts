/**
 * What of a stream Slack shows for sure, from what became of its appends. Pure.
 *
 * An append that failed without any effect is as if it had never been; after one that may have arrived, nobody knows.
 */
import type { Dispatch } from "./Dispatch.ts"
import type { ReplyState } from "./OutboxStore.ts"

/** A row that is aimed at the beginning of a stream. */
export interface Piece {
  /** Null where it cannot be read any more. */
  readonly dispatch: Dispatch | null
  readonly state: ReplyState
  readonly tries: number
  readonly error: string | null
}

const hadNoEffect = ({ error, tries }: Piece) => tries === 0 || error === "RateLimited" || error === "NotSent"

/** In the order of the rows; null where nobody knows. */
export const textShown = (pieces: ReadonlyArray<Piece>): string | null => {
  let shown = ""
  for (const piece of pieces) {
    if (piece.dispatch === null) return null
    if (piece.dispatch._tag !== "StreamAppend" || piece.state === "queued") continue
    if (piece.state === "delivered") shown += piece.dispatch.markdown
    else if (!hadNoEffect(piece)) return null
  }
  return shown
}

/** The same for whoever would append to it: null too when it is over, or never began. */
export const textGrowing = (start: ReplyState | undefined, pieces: ReadonlyArray<Piece>): string | null => {
  const isOver = start === undefined || start === "failed_terminal" || start === "expired" ||
    pieces.some(({ dispatch }) => dispatch?._tag !== "StreamAppend" && dispatch?._tag !== "React")
  return isOver ? null : textShown(pieces)
}

/** The end of a stream, with how much of its text is there already. */
export const withShown = (dispatch: Dispatch, pieces: ReadonlyArray<Piece>): Dispatch => {
  if (dispatch._tag !== "StreamStop") return dispatch
  const shown = textShown(pieces)
  return shown !== null && dispatch.text.startsWith(shown) ? { ...dispatch, shown: shown.length } : dispatch
}
