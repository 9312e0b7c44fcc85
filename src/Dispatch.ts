/**
 * The calls the outbox makes for us, as they are stored, and what each kind of them allows. Schemas and pure functions.
 *
 * Owns the union of kinds, the way from a `Reply` to its call, and how a long one becomes several. A change (`Update`,
 * `Delete`, `React`, and what follows a `StreamStart`) without a `target` is aimed at another row, whose `ts` is filled
 * in when it is claimed.
 * Does not: know keys, lanes or states (NewReply and OutboxStore do).
 */
import { Schema } from "effect"
import type { InboundMessage, Reply } from "./Message.ts"
import { splitText } from "./splitText.ts"
import { fieldIn } from "./untrustedJson.ts"

/** A message in Slack. */
export const SlackMessage = Schema.Struct({ channel: Schema.String, ts: Schema.String })
export type SlackMessage = typeof SlackMessage.Type

const content = {
  text: Schema.String,
  blocks: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  /** Slack's `markdown_text`: goes with neither text nor blocks. */
  markdown: Schema.optionalKey(Schema.String)
}
const target = { target: Schema.optionalKey(SlackMessage) }
export const Content = Schema.Struct(content)
export type Content = typeof Content.Type

const Post = Schema.TaggedStruct("Post", content)
const Update = Schema.TaggedStruct("Update", { ...content, ...target })
const Delete = Schema.TaggedStruct("Delete", target)
const React = Schema.TaggedStruct("React", {
  name: Schema.String,
  remove: Schema.optionalKey(Schema.Boolean),
  ...target
})
/** A message that grows: opened empty, appended to, and stopped with the whole text, which sets right what was missed. */
const StreamStart = Schema.TaggedStruct("StreamStart", {
  recipientUser: Schema.optionalKey(Schema.String),
  recipientTeam: Schema.optionalKey(Schema.String)
})
const StreamAppend = Schema.TaggedStruct("StreamAppend", { markdown: Schema.String, ...target })
const StreamStop = Schema.TaggedStruct("StreamStop", {
  text: Schema.String,
  ...target,
  /** How much of the text is in Slack already; filled in when it is claimed, and left out where nobody knows. */
  shown: Schema.optionalKey(Schema.Number)
})
/** Stopped as it is: nobody knows what else it was to say. */
const StreamEnd = Schema.TaggedStruct("StreamEnd", target)
/** A file whose bytes wait in the spool under this name. */
const Upload = Schema.TaggedStruct("Upload", {
  spool: Schema.String,
  filename: Schema.String,
  title: Schema.optionalKey(Schema.String),
  comment: Schema.optionalKey(Schema.String),
  bytes: Schema.Number
})
const Ephemeral = Schema.TaggedStruct("Ephemeral", { ...content, user: Schema.String })

const how = {
  responseType: Schema.optionalKey(Schema.Literals(["in_channel", "ephemeral"])),
  replaceOriginal: Schema.optionalKey(Schema.Boolean),
  deleteOriginal: Schema.optionalKey(Schema.Boolean)
}
const How = Schema.Struct(how)
/** The address is a secret of the person who used the command: it is stored with the row, and never shown or logged. */
const Respond = Schema.TaggedStruct("Respond", { ...content, ...how, url: Schema.String })

export const Dispatch = Schema.Union([
  Post,
  Update,
  Delete,
  React,
  Ephemeral,
  Respond,
  StreamStart,
  StreamAppend,
  StreamStop,
  StreamEnd,
  Upload
])
export type Dispatch = typeof Dispatch.Type
export type Kind = Dispatch["_tag"]

/** An answer to a slash command or a button. `deleteOriginal` needs no content. */
export type Response = Omit<Reply, "interim" | "ephemeral"> & typeof How.Type

/**
 * Doing it twice is as good as once: an answer that is in doubt is asked for again. A stream can be stopped only once;
 * whoever finds it stopped puts the whole text in its place.
 */
export const repeatable: ReadonlyArray<Kind> = ["Update", "Delete", "React", "StreamStop", "StreamEnd"]
export const isRepeatable = (kind: Kind): boolean => repeatable.includes(kind)

/** It makes a message that others may change. */
export const isMessage = (kind: Kind): boolean => kind === "Post" || kind === "StreamStart" || kind === "Upload"

/** It leaves a message that can be looked up: by our key, by its file, or as the stream that says nothing yet. */
export const isFindable = (kind: Kind): boolean => isMessage(kind)

/** It changes a message that is there. */
export const isChange = (kind: Kind): boolean => kind === "StreamAppend" || isRepeatable(kind)

/** Aimed at this message, if it is a change of one. */
export const aimedAt = (dispatch: Dispatch, message: SlackMessage): Dispatch =>
  isChange(dispatch._tag) ? { ...dispatch, target: message } as Dispatch : dispatch

/** The same text as a message of its own. */
export const asPost = (dispatch: Dispatch): Dispatch => ({ _tag: "Post", text: "", markdown: textOf(dispatch) })

/** What it says, for people to read. */
export const textOf = (dispatch: Dispatch): string => {
  switch (dispatch._tag) {
    case "Delete":
    case "StreamStart":
    case "StreamEnd":
      return ""
    case "React":
      return `:${dispatch.name}:`
    case "StreamAppend":
      return dispatch.markdown
    case "StreamStop":
      return dispatch.text
    case "Upload":
      return dispatch.comment ?? dispatch.filename
    default:
      return dispatch.markdown ?? dispatch.text
  }
}

/** Why Slack could not take it, or undefined. */
export const problemOf = ({ blocks, markdown, text }: Reply): string | undefined => {
  const empty = (value: string | undefined) => value === undefined || value.trim() === ""
  const hasBlocks = blocks !== undefined && blocks.length > 0
  if (markdown !== undefined && (!empty(text) || hasBlocks)) return "markdown goes alone, with neither text nor blocks"
  if (empty(text) && empty(markdown) && !hasBlocks) return "an empty reply: neither text nor blocks nor markdown"
  return undefined
}

export const contentOf = ({ blocks, markdown, text }: Reply): Content => ({
  text: text ?? "",
  ...(blocks === undefined ? {} : { blocks }),
  ...(markdown === undefined ? {} : { markdown })
})

/** Characters of `markdown_text` in one call, and in a stream. */
export const markdownLimit = 12_000

/**
 * One message each. What has blocks stays whole: people see the blocks, and the text is only what a notification says
 * (Slack takes up to 40,000 characters of it).
 */
export const partsOf = (whole: Content): ReadonlyArray<Content> => {
  if (whole.blocks !== undefined && whole.blocks.length > 0) return [whole]
  const parts = whole.markdown === undefined
    ? splitText(whole.text).map((text, _, { length }) => length === 1 ? { ...whole, text } : { text })
    : splitText(whole.markdown, markdownLimit).map((markdown) => ({ text: "", markdown }))
  // A blank text has no parts; whatever Slack says to it, somebody must say it.
  return parts.length === 0 ? [whole] : parts
}

/** Without its blocks, once Slack would not take them. */
export const withoutBlocks = (dispatch: Dispatch): Dispatch => {
  if (!("blocks" in dispatch)) return dispatch
  const { blocks: _, ...rest } = dispatch
  return rest
}

/** What Slack says about blocks that it does not take. */
const refusesBlocks = (code: string) => /^(invalid_blocks|msg_blocks_too)/.test(code)

/** What Slack refused for good may go in another shape: without its blocks, or not as the end of a stream. */
export const canDegrade = (dispatch: Dispatch, code: string): boolean =>
  dispatch._tag === "StreamStop" ||
  (refusesBlocks(code) && "blocks" in dispatch && dispatch.blocks !== undefined && dispatch.text.trim() !== "")

/** Where the last of these messages that is a command or a button may be answered. */
export const responseUrlOf = (messages: ReadonlyArray<InboundMessage>): string | undefined => {
  for (const { kind, payload } of messages.toReversed()) {
    if (kind !== "slash_command" && kind !== "interactive") continue
    const several = fieldIn(payload, "response_urls")
    const url = fieldIn(payload, "response_url") ??
      fieldIn(Array.isArray(several) ? several[0] : undefined, "response_url")
    if (typeof url === "string" && url !== "") return url
  }
  return undefined
}

/** Slack's own address, or that of the configured API: a hostile payload must not make us call anybody else. */
export const isResponseUrl = (url: string, slackApiUrl: string): boolean => {
  if (!URL.canParse(url)) return false
  const { origin, password, username } = new URL(url)
  return username === "" && password === "" &&
    (origin === "https://hooks.slack.com" || origin === new URL(slackApiUrl).origin)
}
