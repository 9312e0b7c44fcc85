/**
 * A committed reply, for whoever made it: to wait for it, and to change it later.
 *
 * What is long is several messages; the handle stands for all of them. A change is a row of its own behind them, so it
 * may be asked for before they were sent.
 */
import { Effect } from "effect"
import type { SlackMessage } from "./Dispatch.ts"
import type { ConversationKey, Destination, Reply } from "./Message.ts"
import type { TurnError } from "./TurnError.ts"

/** What is done to messages that were committed before. */
export type Change =
  | { readonly _tag: "Update"; readonly reply: Reply }
  | { readonly _tag: "Delete" }
  /** To `message` where it is none of ours. */
  | {
    readonly _tag: "React"
    readonly name: string
    readonly remove: boolean
    readonly message?: SlackMessage
  }

/** Where the rows of one or several messages stand. */
export interface Messages {
  readonly rows: ReadonlyArray<number>
  readonly lane: ConversationKey
  readonly destination: Destination
}

/** A change that was committed: its own rows, and the messages there are after it. */
export interface Changed {
  readonly rows: ReadonlyArray<number>
  readonly messages: ReadonlyArray<number>
}

/** What a handle is good for; made by the room that committed it. */
export interface ReplyDoor {
  readonly delivered: (rows: ReadonlyArray<number>) => Effect.Effect<SlackMessage, TurnError>
  readonly change: (change: Change, messages: Messages) => Effect.Effect<Changed, TurnError>
}

export class ReplyHandle {
  readonly id: number
  /** Waits until Slack has all of it; answers the first message. Fails with what became of it otherwise. */
  readonly delivered: Effect.Effect<SlackMessage, TurnError>
  private readonly door: ReplyDoor
  /** Shared with the handles of its changes: a longer text adds messages, a shorter one takes some away. */
  private readonly standing: { messages: Messages }

  constructor(door: ReplyDoor, rows: ReadonlyArray<number>, standing: { messages: Messages }) {
    this.id = rows[0] ?? 0
    this.delivered = door.delivered(rows)
    this.door = door
    this.standing = standing
  }

  /** Puts something else in its place. */
  readonly update = (reply: string | Reply): Effect.Effect<ReplyHandle, TurnError> =>
    this.change({ _tag: "Update", reply: typeof reply === "string" ? { text: reply } : reply })

  /** Takes it back. */
  readonly delete = (): Effect.Effect<ReplyHandle, TurnError> => this.change({ _tag: "Delete" })

  /** Adds a reaction to it, or takes it away. */
  readonly react = (
    name: string,
    options?: { readonly remove?: boolean }
  ): Effect.Effect<ReplyHandle, TurnError> => this.change({ _tag: "React", name, remove: options?.remove === true })

  /** The same through another door: a turn changes a reply of the host as its own. */
  readonly through = (door: ReplyDoor): ReplyHandle => new ReplyHandle(door, [this.id], this.standing)

  private change(change: Change): Effect.Effect<ReplyHandle, TurnError> {
    return Effect.suspend(() => this.door.change(change, this.standing.messages)).pipe(
      Effect.map(({ messages, rows }) => {
        this.standing.messages = { ...this.standing.messages, rows: messages }
        return new ReplyHandle(this.door, rows, this.standing)
      })
    )
  }
}
