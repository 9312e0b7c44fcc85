/** What an operator does to the work in memory: what `../Control.ts` promises. See `Database.ts` for what it is for. */
import { Effect, Layer } from "effect"
import { cancelledByHand, Control, placesOf, shownOfText } from "../Control.ts"
import { type ConversationKey, textOf } from "../Message.ts"
import { call, type Data, Database, isAskedFor } from "./Database.ts"
import { endInterim, endStreams } from "./outboxRows.ts"

/** Whether anything holds this conversation. */
export const isPaused = (data: Data, conversation: ConversationKey): boolean =>
  placesOf(conversation).some((place) => data.pauses.has(place))

export const layer = Layer.effect(
  Control,
  Effect.gen(function*() {
    const data = yield* Database
    const messagesOf = (turn: string) => [...data.messages.values()].filter((row) => row.turn === turn)

    return Control.of({
      pause: (conversation, now, why) =>
        call("pause")(() => {
          const place = conversation ?? ""
          if (data.pauses.has(place)) return false
          data.pauses.set(place, { conversation, since: now, why: why ?? null })
          return true
        }),
      resume: (conversation) => call("resume")(() => data.pauses.delete(conversation ?? "")),
      pauses: call("pauses")(() =>
        [...data.pauses].toSorted(([a, one], [b, other]) =>
          Number(a !== "") - Number(b !== "") || one.since - other.since || (a < b ? -1 : 1)
        ).map(([, pause]) => pause)
      ),
      cancel: (id, now) =>
        call("cancel")(() => {
          const turn = data.turns.get(id)
          if (turn === undefined) return { _tag: "Unknown" }
          const { conversation, state } = turn
          if (state !== "running" && state !== "waiting" && !isAskedFor(turn)) {
            return { _tag: "Ended", state, byHand: state === "failed" && turn.error === cancelledByHand }
          }
          Object.assign(turn, { state: "failed", owner: null, error: cancelledByHand, finishedAt: now })
          for (const row of messagesOf(id)) {
            if (row.state !== "processing" && row.state !== "queued") continue
            Object.assign(row, { state: "failed", reason: cancelledByHand, finishedAt: now })
          }
          endInterim(data, (row) => row.turn === id && row.state === "queued", now)
          endStreams(data, id, now)
          return { _tag: "Cancelled", conversation, wasRunning: state === "running" }
        }),
      wasCancelled: (id) =>
        call("wasCancelled")(() => {
          const turn = data.turns.get(id)
          return turn?.state === "failed" && turn.error === cancelledByHand
        }),
      running: call("running")(() =>
        [...data.turns.values()].toSorted((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1)).flatMap((turn) => {
          const { attempt, conversation, id, owner, startedAt, state, status } = turn
          if (state !== "running" || owner === null) return []
          const rows = messagesOf(id).toSorted((a, b) =>
            a.message.ts === b.message.ts ? a.id - b.id : a.message.ts < b.message.ts ? -1 : 1
          )
          const messages = rows.filter((row) => row.state === "processing").length
          const text = textOf(rows.slice(0, 1).map(({ message }) => message)).slice(0, shownOfText)
          return [{ id, conversation, attempt, startedAt, messages, text, status, owner }]
        })
      )
    })
  })
)
