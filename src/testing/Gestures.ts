/**
 * Gestures: what people do in Slack besides writing, and the event or interaction that the app gets for each.
 *
 * Owns the schema of a gesture, which is also the body of `POST /_local/gestures`, and the payloads of interactions. A
 * modal may be one that the app has opened (`views.open`), or exist only in the gesture. Pure.
 */
import { Schema } from "effect"
import { type Json, messageShape } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import { team } from "./Workspace.ts"

const user = Schema.String
const channel = Schema.String
/** Of the message that it is about. */
const ts = Schema.String
const View = Schema.Record(Schema.String, Schema.Unknown)

export const Gesture = Schema.Union([
  Schema.Struct({ does: Schema.Literal("edit"), user, channel, ts, text: Schema.String }),
  Schema.Struct({ does: Schema.Literal("delete"), user, channel, ts }),
  Schema.Struct({ does: Schema.Literals(["react", "unreact"]), user, channel, ts, reaction: Schema.String }),
  /** A button under a message. */
  Schema.Struct({
    does: Schema.Literal("press"),
    user,
    channel,
    ts,
    action_id: Schema.String,
    value: Schema.optionalKey(Schema.String)
  }),
  /** A modal with what was filled in: at least `state: { values }`. */
  Schema.Struct({ does: Schema.Literal("submit"), user, view: View }),
  Schema.Struct({ does: Schema.Literal("close"), user, view: View }),
  /** Typing into a select menu whose options come from the app. */
  Schema.Struct({ does: Schema.Literal("search"), user, action_id: Schema.String, value: Schema.String }),
  Schema.Struct({ does: Schema.Literal("shortcut"), user, callback_id: Schema.String }),
  Schema.Struct({ does: Schema.Literal("messageShortcut"), user, channel, ts, callback_id: Schema.String }),
  Schema.Struct({ does: Schema.Literal("openHome"), user }),
  Schema.Struct({ does: Schema.Literal("join"), user, channel }),
  Schema.Struct({ does: Schema.Literal("leave"), user, channel })
])
export type Gesture = typeof Gesture.Type

/** `envelope_id` where it is an interaction, which the app may answer in its ack. */
export type Done = { readonly ok: true; readonly envelope_id?: string } | { readonly ok: false; readonly error: string }

const refused = (error: string): Done => ({ ok: false, error })
const done: Done = { ok: true }

const viewShape = (given: Json, now: number): Json => ({
  id: `V${now.toString(36).toUpperCase()}`,
  type: "modal",
  callback_id: "",
  private_metadata: "",
  hash: `${now}.local`,
  state: { values: {} },
  ...given
})

export const performGesture = (world: SlackWorld, gesture: Gesture, origin: string, now: number): Done => {
  const { workspace } = world
  const person = workspace.person(gesture.user)
  if (person === undefined || person.isBot) return refused("user_not_found")
  const who = { id: person.id, username: person.name, name: person.name, team_id: team.id }
  const interact = (payload: Json) => world.interaction({ ...payload, user: who }, now)
  switch (gesture.does) {
    case "submit":
    case "close": {
      const opened = world.views.find(String(gesture.view["id"]))
      const view = viewShape({ ...opened?.view, ...gesture.view }, now)
      if (gesture.does === "close" && opened !== undefined) {
        world.views.close(opened.id)
        world.record({ _tag: "ViewClosed", view: opened.id, to: opened.user }, now)
      }
      return gesture.does === "submit"
        ? interact({ type: "view_submission", trigger_id: world.triggerId(person.id, now), view, response_urls: [] })
        : interact({ type: "view_closed", view, is_cleared: false })
    }
    case "search":
      return interact({
        type: "block_suggestion",
        action_id: gesture.action_id,
        block_id: "b1",
        value: gesture.value,
        container: { type: "view" }
      })
    case "shortcut":
      return interact({
        type: "shortcut",
        callback_id: gesture.callback_id,
        trigger_id: world.triggerId(person.id, now),
        action_ts: workspace.nextTs(now)
      })
    case "openHome": {
      const home = workspace.directMessage(person.id)
      const event_ts = workspace.nextTs(now)
      world.event({ type: "app_home_opened", user: person.id, channel: home?.id, tab: "home", event_ts }, now)
      return done
    }
  }
  const conversation = workspace.conversation(gesture.channel)
  if (conversation === undefined) return refused("channel_not_found")
  if (!workspace.isMember(conversation, person.id)) return refused("not_in_channel")
  if (gesture.does === "join" || gesture.does === "leave") {
    world.event({
      type: gesture.does === "join" ? "member_joined_channel" : "member_left_channel",
      user: person.id,
      channel: conversation.id,
      channel_type: "C",
      team: team.id,
      event_ts: workspace.nextTs(now)
    }, now)
    return done
  }
  const message = workspace.find(conversation.id, gesture.ts)
  if (message === undefined) return refused("message_not_found")
  switch (gesture.does) {
    case "edit":
      if (message.user !== person.id) return refused("cant_update_message")
      world.edit(conversation, message, { text: gesture.text }, person.id, now)
      return done
    case "delete":
      if (message.user !== person.id) return refused("cant_delete_message")
      world.remove(conversation, message, person.id, now)
      return done
    case "react":
      return world.react(message, gesture.reaction, person.id, "add", now) ? done : refused("already_reacted")
    case "unreact":
      return world.react(message, gesture.reaction, person.id, "remove", now) ? done : refused("no_reaction")
    case "press":
    case "messageShortcut": {
      const trigger = world.triggerId(person.id, now)
      const about = {
        trigger_id: trigger,
        channel: { id: conversation.id, name: conversation.name },
        message: messageShape(workspace, message, { metadata: false }),
        response_url: world.commands.address({ conversation, person, id: trigger, origin }, now)
      }
      const action_ts = workspace.nextTs(now)
      if (gesture.does === "messageShortcut") {
        const { callback_id } = gesture
        return interact({ ...about, type: "message_action", callback_id, message_ts: message.ts, action_ts })
      }
      const { action_id, value } = gesture
      return interact({
        ...about,
        type: "block_actions",
        container: { type: "message", message_ts: message.ts, channel_id: conversation.id, is_ephemeral: false },
        state: { values: {} },
        actions: [{
          type: "button",
          action_id,
          block_id: "b1",
          text: { type: "plain_text", text: action_id, emoji: true },
          ...(value === undefined ? {} : { value }),
          action_ts
        }]
      })
    }
  }
}
