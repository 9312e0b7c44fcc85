/** Frames that ended other gateways, or went unheard in them. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { defaultActivation, Handler } from "slackwater"
import { LocalSlack } from "slackwater/testing"
import {
  alarms,
  asked,
  isAnswered,
  isConnected,
  quickRetries,
  socket,
  talks,
  test,
  until
} from "../fixtures/connection.ts"
import { dm } from "../fixtures/gateway.ts"

const general = { channel: "C0GENERAL", user: "U0BOB" }

describe("does no harm:", () => {
  test(
    "an envelope without an event, which is acked and kept",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const payload = { type: "app_rate_limited", team_id: "T0LOCAL", minute_rate_limited: 1, api_app_id: "A0LOCAL" }
      const frame = { envelope_id: "no-event", type: "events_api", payload, accepts_response_payload: false }
      assert.isTrue(yield* slack.sendRaw(JSON.stringify(frame)))
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === "no-event")
      yield* talks("after")
      assert.strictEqual((yield* socket).generation, 1)
    })
  )

  for (const frame of ["null", "42", "[]", "\"text\"", "{", "", "{\"type\":null}", "{\"type\":\"events_api\"}"]) {
    test(
      `the frame ${frame === "" ? "without anything" : frame}`,
      Effect.gen(function*() {
        assert.isTrue(yield* (yield* LocalSlack).sendRaw(frame))
        yield* talks("after")
        assert.strictEqual((yield* socket).generation, 1)
      })
    )
  }

  test(
    "an activation that throws; the event is kept",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.say({ ...general, text: "throw" })
      yield* until("it is acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      yield* talks("after")
      assert.strictEqual((yield* socket).generation, 1)
    }),
    {
      more: {
        activate: (message, context) => {
          if (message.text === "throw") throw new Error("from the activation")
          return defaultActivation(message, context)
        }
      }
    }
  )

  test(
    "a responder that throws; the command is acked",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      const envelope = yield* slack.command({ ...general, command: "/throw", text: "" })
      yield* slack.awaitJournal((entry) => entry._tag === "AckReceived" && entry.envelopeId === envelope)
      yield* talks("after")
      assert.strictEqual((yield* socket).generation, 1)
    }),
    {
      more: {
        respond: {
          slashCommand: () => {
            throw new Error("from the responder")
          }
        }
      }
    }
  )

  test(
    "a handler that throws; other conversations go on",
    Effect.gen(function*() {
      const slack = yield* LocalSlack
      yield* slack.say({ ...general, text: "<@U0BOT> throw" })
      yield* until("it is acked", Effect.map(slack.unacked, (ids) => ids.length === 0))
      yield* talks("after")
      assert.strictEqual((yield* socket).generation, 1)
    }),
    {
      handler: Handler.make((turn) => {
        if (turn.text.includes("throw")) throw new Error("from the handler")
        return turn.reply(`You said: ${turn.text}`)
      })
    }
  )
})

describe("a disconnect frame", () => {
  for (const reason of ["warning", "refresh_requested", "made_up"]) {
    test(
      `that says ${reason} is followed by a new connection, and what is right behind it is answered`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.faults({ eventsBehindDisconnect: true, retryDelaysMs: [] })
        yield* slack.disconnect(reason)
        yield* slack.say({ ...dm, text: "right behind" })
        const { generation } = yield* socket
        yield* isAnswered("right behind")
        yield* slack.faults({ eventsBehindDisconnect: null, retryDelaysMs: quickRetries })
        yield* until("replaced", Effect.map(socket, (now) => now.generation > generation && now.state === "connected"))
        yield* talks("after")
        const sent = (yield* slack.journal).find((entry) => entry._tag === "EnvelopeSent")
        assert.strictEqual(sent?._tag === "EnvelopeSent" && sent.connection, "c1")
      })
    )
  }

  for (const reason of ["link_disabled", "too_many_websockets"]) {
    test(
      `that says ${reason} does not end the gateway: an alarm, and no stampede`,
      Effect.gen(function*() {
        const slack = yield* LocalSlack
        yield* slack.disconnect(reason)
        const before = yield* asked
        yield* until("an alarm", Effect.map(alarms, (codes) => codes.includes("slack-connection")))
        assert.isFalse(yield* isConnected)
        yield* until("connected", isConnected)
        assert.isAtMost((yield* asked) - before, 1)
        yield* talks("after")
      })
    )
  }
})
