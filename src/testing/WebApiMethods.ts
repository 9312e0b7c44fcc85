/**
 * WebApiMethods: the table of Web API methods, and those that only look something up.
 *
 * Owns which methods exist and which token each takes. Error codes are Slack's own. Pure.
 */
import { conversationShape, userShape } from "./SlackShapes.ts"
import {
  appendStream,
  completeUpload,
  filesInfo,
  getUploadUrl,
  postEphemeral,
  postMessage,
  react,
  remove,
  respond,
  setStatus,
  startStream,
  stopStream,
  update,
  upload
} from "./WebApiChat.ts"
import { conversationsList, usersConversations } from "./WebApiConversations.ts"
import { history, replies } from "./WebApiHistory.ts"
import { fail, inChannel, type Method, text } from "./WebApiParams.ts"
import { viewsOpen, viewsUpdate } from "./WebApiViews.ts"
import { bot, team } from "./Workspace.ts"

const connectionsOpen: Method = {
  token: "app",
  run: (world, { origin }) => {
    const { openError, socketHost } = world.faults.current
    if (openError !== undefined) return fail(openError)
    const url = new URL(`${origin.replace(/^http/, "ws")}/link/`)
    if (socketHost !== undefined) url.hostname = socketHost
    url.search = new URLSearchParams({ ticket: world.ticket(), app_id: bot.appId }).toString()
    return { ok: true, url: url.href }
  }
}

const authTest: Method = {
  token: "bot",
  run: (_world, { origin }) => ({
    ok: true,
    url: `${origin}/`,
    team: team.name,
    user: bot.name,
    team_id: team.id,
    user_id: bot.userId,
    bot_id: bot.botId,
    is_enterprise_install: false
  })
}

const apiTest: Method = {
  token: "none",
  run: (_world, { params }) => {
    const { token: _, ...args } = params
    const error = text(params, "error")
    return error === undefined ? { ok: true, args } : { ok: false, error, args }
  }
}

const conversationsOpen: Method = {
  token: "bot",
  run: (world, { params }) => {
    const [user, second] = (text(params, "users") ?? "").split(",")
    if (second !== undefined) return fail("method_not_supported_for_channel_type")
    const found = world.workspace.conversation(text(params, "channel") ?? "") ??
      world.workspace.directMessage(user ?? "")
    return found === undefined ? fail("user_not_found") : { ok: true, channel: conversationShape(found) }
  }
}

const usersInfo: Method = {
  token: "bot",
  run: (world, { params }) => {
    const person = world.workspace.person(text(params, "user") ?? "")
    return person === undefined ? fail("user_not_found") : { ok: true, user: userShape(person) }
  }
}

const usersList: Method = {
  token: "bot",
  run: (world) => ({ ok: true, members: world.workspace.people.map(userShape), response_metadata: { next_cursor: "" } })
}

export const methods: ReadonlyMap<string, Method> = new Map(Object.entries({
  "api.test": apiTest,
  "apps.connections.open": connectionsOpen,
  "assistant.threads.setStatus": setStatus,
  "auth.test": authTest,
  "chat.appendStream": appendStream,
  "chat.delete": remove,
  "chat.postEphemeral": postEphemeral,
  "chat.postMessage": postMessage,
  "chat.startStream": startStream,
  "chat.stopStream": stopStream,
  "chat.update": update,
  "conversations.history": history,
  "conversations.info": inChannel((_world, c) => ({ ok: true, channel: conversationShape(c) })),
  "conversations.list": conversationsList,
  "conversations.open": conversationsOpen,
  "conversations.replies": replies,
  "files.completeUploadExternal": completeUpload,
  "files.getUploadURLExternal": getUploadUrl,
  "files.info": filesInfo,
  "reactions.add": react("add"),
  "reactions.remove": react("remove"),
  "response_url": respond,
  "upload": upload,
  "users.conversations": usersConversations,
  "users.info": usersInfo,
  "users.list": usersList,
  "views.open": viewsOpen,
  "views.update": viewsUpdate
}))
