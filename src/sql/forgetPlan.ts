/**
 * What there is to forget about a person or a channel, found by reading and without a transaction: page by page, so that
 * nobody beside us waits.
 *
 * Of a person: what they said or did anywhere, all of their direct messages with the bot, and what the bot said in the
 * turns about these. Of a channel: everything in it. What belongs to a turn that has not ended is left, and named.
 * Not found: what others said about the person, also where they mention them.
 */
import { Effect } from "effect"
import { SqlClient, type Statement } from "effect/sql"
import { isHash } from "./keyHash.ts"

export type Who = { readonly user: string } | { readonly channel: string }

export interface Plan {
  /** Messages by number, with the turn they were in. */
  readonly messages: ReadonlyMap<number, string | null>
  readonly turns: ReadonlyArray<string>
  readonly replies: ReadonlyArray<number>
  /** Of the replies, those that were not sent yet. */
  readonly unsent: number
  /** Conversations whose state goes. */
  readonly states: ReadonlyArray<string>
  /** Keys that become hashes. */
  readonly keys: ReadonlyArray<string>
  readonly left: { readonly turns: ReadonlyArray<string>; readonly replies: ReadonlyArray<number> }
}

const page = 1_000

interface MessageRow {
  readonly id: number
  readonly conversation: string
  readonly turn: string | null
  readonly channel: string | null
  readonly direct: number | null
}

interface TurnRow {
  readonly id: string
  readonly conversation: string
  readonly state: string
  readonly finished: number | null
}

interface KeyRow {
  readonly key: string
  readonly message: number
}

interface ReplyRow {
  readonly id: number
  readonly state: string
  readonly turn: string | null
  readonly lane: string
  readonly channel: string
  readonly slackChannel: string | null
  readonly target: number | null
  readonly partOf: number | null
  readonly user: string | null
}

/** Of a query that reads on behind a row, all rows that are to be kept, in order. */
const all = Effect.fnUntraced(function*<Row, Key, E>(
  first: Key,
  keyOf: (row: Row) => Key,
  read: (after: Key) => Effect.Effect<ReadonlyArray<Row>, E>,
  keeps: (row: Row) => boolean = () => true
) {
  const found: Array<Row> = []
  for (let after = first;;) {
    const rows = yield* read(after)
    for (const row of rows) if (keeps(row)) found.push(row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < page) return found
    after = keyOf(last)
    yield* Effect.yieldNow
  }
})

const channelOf = (conversation: string) => conversation.split("/")[0] ?? conversation

export const planOf = Effect.fnUntraced(function*(who: Who) {
  const sql = yield* SqlClient.SqlClient
  const idOf = ({ id }: { readonly id: number }) => id

  const messagesWhere = (which: Statement.Fragment) =>
    all(0, idOf, (after) =>
      sql<MessageRow>`SELECT id, conversation, turn_id AS turn,
          CASE WHEN json_valid(message) THEN json_extract(message, '$.channel') END AS channel,
          CASE WHEN json_valid(message) THEN json_extract(message, '$.direct') END AS direct
        FROM slackwater_messages WHERE id > ${after} AND ${which} ORDER BY id LIMIT ${page}`)

  const messages = new Map<number, MessageRow>()
  const places = new Set<string>(["user" in who ? who.user : who.channel])
  if ("user" in who) {
    // Where no author is known, as of what could not be read, it is enough to be named.
    const named = sql`instr(message, ${`"${who.user}"`}) > 0`
    const said = yield* messagesWhere(sql`CASE WHEN json_valid(message)
      THEN coalesce(json_extract(message, '$.user') = ${who.user}, ${named}) ELSE ${named} END`)
    for (const row of said) {
      messages.set(row.id, row)
      if (row.direct === 1) places.add(row.channel ?? channelOf(row.conversation))
    }
  }
  const inPlaces = (conversation: string) => places.has(channelOf(conversation))
  const ranges = (column: string) =>
    sql.or([...places].flatMap((place) => [
      sql`${sql.literal(column)} = ${place}`,
      sql`${sql.literal(column)} >= ${`${place}/`} AND ${sql.literal(column)} < ${`${place}0`}`
    ]))
  for (const row of yield* messagesWhere(ranges("conversation"))) messages.set(row.id, row)

  const conversations = new Set([...messages.values()].map(({ conversation }) => conversation))
  const inTurns = new Set([...messages.values()].flatMap(({ turn }) => turn === null ? [] : [turn]))
  const turns = yield* all(
    "",
    ({ id }: TurnRow) => id,
    (after) =>
      sql<TurnRow>`SELECT id, conversation, state, finished_at AS finished FROM slackwater_turns WHERE id > ${after}
        ORDER BY id LIMIT ${page}`,
    // The messages of a superseded one have moved on; what it said has not.
    ({ conversation, id, state }) =>
      inTurns.has(id) || inPlaces(conversation) || (state === "superseded" && conversations.has(conversation))
  )
  // Also one that failed and was asked for again by hand.
  const isOpen = ({ finished }: TurnRow) => finished === null
  const open = new Set(turns.filter(isOpen).map(({ id }) => id))
  const busy = new Set(turns.filter(isOpen).map(({ conversation }) => conversation))
  const ended = new Set(turns.filter((turn) => !isOpen(turn)).map(({ id }) => id))
  for (const [id, { turn }] of messages) if (turn !== null && open.has(turn)) messages.delete(id)

  const chosen = new Map<number, string>()
  const isChosen = ({ channel, lane, partOf, slackChannel, target, turn, user }: ReplyRow) => {
    if (turn !== null && (open.has(turn) || ended.has(turn))) return ended.has(turn)
    return inPlaces(lane) || [channel, slackChannel, user].some((place) => place !== null && places.has(place)) ||
      [target, partOf].some((row) => row !== null && chosen.has(row))
  }
  const readReplies = (after: number) =>
    sql<ReplyRow>`SELECT id, state, turn_id AS turn, lane, channel, slack_channel AS slackChannel,
        target_id AS target, part_of AS partOf,
        CASE WHEN kind = 'Ephemeral' AND json_valid(dispatch) THEN json_extract(dispatch, '$.user') END AS user
      FROM slackwater_outbox WHERE id > ${after} ORDER BY id LIMIT ${page}`
  yield* all(0, idOf, readReplies, (row) => {
    // What changes another row stands behind it.
    if (isChosen(row)) chosen.set(row.id, row.state)
    return false
  })
  const inHand = [...chosen].filter(([, state]) => state === "sending").map(([id]) => id)
  for (const id of inHand) chosen.delete(id)

  const states = (yield* all("", ({ conversation }: { readonly conversation: string }) =>
    conversation, (after) =>
    sql<{ readonly conversation: string }>`SELECT conversation FROM slackwater_conversations
      WHERE conversation > ${after} ORDER BY conversation LIMIT ${page}`)).map(({ conversation }) =>
      conversation
    )
    .filter((conversation) =>
      (conversations.has(conversation) || inPlaces(conversation)) && !busy.has(conversation)
    )

  const keys = yield* all(
    "",
    ({ key }: KeyRow) => key,
    (after) =>
      sql<KeyRow>`SELECT key, message_id AS message FROM slackwater_message_keys
        WHERE key > ${after} ORDER BY key LIMIT ${page}`,
    ({ key, message }) => !isHash(key) && (messages.has(message) || key.split(/[:/]/).some((part) => places.has(part)))
  )

  return {
    messages: new Map([...messages].map(([id, { turn }]) => [id, turn])),
    turns: [...ended],
    replies: [...chosen.keys()],
    unsent: [...chosen.values()].filter((state) => state !== "delivered" && !/^(failed_terminal|expired)$/.test(state))
      .length,
    states,
    keys: keys.map(({ key }) => key),
    left: { turns: [...open], replies: inHand }
  } satisfies Plan
})
