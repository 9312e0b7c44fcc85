/**
 * What a rejection of Slack's Web API client means. Pure; one class per error, and anything unknown may have reached
 * Slack.
 *
 * Sources: the method pages of docs.slack.dev for the codes; how `@slack/web-api` 8.2.0 rejects was measured against a
 * fake Slack (a body that stalls is a raw DOMException, one that is cut a raw TypeError).
 */
import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from "@slack/web-api"
import {
  AlreadyDone,
  Ambiguous,
  Configuration,
  Credentials,
  NotSent,
  Permanent,
  RateLimited,
  type SlackApiReason
} from "../SlackApi.ts"

const words = (text: string) => new Set(text.trim().split(/\s+/))

const rateLimited = words("ratelimited rate_limited")

/** By method: what says that there is nothing left to do. */
const alreadyDone = new Map(Object.entries({
  "reactions.add": words("already_reacted"),
  "reactions.remove": words("no_reaction"),
  "chat.delete": words("message_not_found"),
  // It has ended; whether with the text of this call is for the caller to look at.
  "chat.stopStream": words("message_not_in_streaming_state")
}))

/** Slack says that it did nothing, and may do it later; it says so of this channel, or this message. */
const later = words("team_added_to_org org_login_required accesslimited")
const laterHere = words("external_channel_migrating streaming_state_conflict")

const credentialCodes = words(`
  not_authed invalid_auth account_inactive token_revoked token_expired not_allowed_token_type user_removed_from_team
  team_disabled two_factor_setup_required app_access_restricted enterprise_is_restricted is_bot forbidden_team`)

const configuration = words(`
  missing_scope no_permission access_denied ekm_access_denied messages_tab_disabled restricted_action
  send_on_behalf_not_allowed`)
const configurations = /^restricted_action_/

const permanent = words(`
  channel_not_found is_archived not_in_channel cannot_reply_to_message team_not_found message_not_found
  cant_update_message cant_delete_message edit_window_closed is_inactive thread_locked bad_timestamp thread_not_found
  channel_is_limited_access method_not_supported_for_channel_type user_not_found user_disabled user_not_visible
  no_text msg_too_long msg_blocks_too_long msg_blocks_too_many invalid_blocks invalid_blocks_format
  invalid_attachments too_many_attachments attachment_payload_limit_exceeded markdown_text_conflict block_mismatch
  invalid_metadata_format invalid_metadata_schema metadata_too_large missing_file_data too_many_contact_cards
  invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type missing_args
  as_user_not_supported method_deprecated deprecated_endpoint unknown_method invalid_cursor invalid_thread_ts
  message_not_in_streaming_state stopped_by_user channel_type_not_supported missing_recipient_user_id
  missing_recipient_team_id message_not_owned_by_app file_not_found file_deleted posting_to_channel_denied
  malware_detected blocked_file_type
  used_url expired_url user_not_in_channel no_item_specified invalid_name too_many_emoji too_many_reactions`)
const permanents = /^(slack_connect_.+_blocked|(draft|duplicate|invalid_ts)_.+)$/

/**
 * Slack is not there. It may have done it all the same: a proxy says so too where it lost the answer of what stood
 * behind it. So it is looked for like all that is in doubt, but costs no attempt.
 */
const unavailable = (status: number) => status >= 502 && status <= 504
/** An answer that is neither a success nor a rate limit. */
export const httpStatus = (status: number) =>
  new Ambiguous({ detail: `HTTP ${status}`, ...(unavailable(status) ? { unavailable: true } : {}) })

/** What a waiting client is told when Slack names no time (docs: 1 to 30 s). */
const defaultRetryAfterMs = 5_000
/** The same for a workspace that wrote too much altogether. */
const floodRetryAfterMs = 60_000

/** Whoever asks for more is asked again then: whatever stands in a header, it must not silence us for good. */
const mostRetryAfterMs = 3_600_000

/** Seconds, as Slack says them; a zero is not worth asking again at once. */
export const rateLimit = (seconds: unknown) =>
  new RateLimited({
    retryAfterMs: typeof seconds === "number" && seconds > 0
      ? Math.min(Math.ceil(seconds * 1_000), mostRetryAfterMs)
      : defaultRetryAfterMs
  })

/** What Slack's error code means, for this method. `data` is the whole answer. */
export const byCode = (code: unknown, data: object, method: string): SlackApiReason => {
  if (typeof code !== "string") return new Ambiguous({ detail: "an answer without an error code" })
  const metadata: unknown = Reflect.get(data, "response_metadata")
  const retryAfter: unknown = typeof metadata === "object" && metadata !== null
    ? Reflect.get(metadata, "retryAfter")
    : undefined
  if (alreadyDone.get(method)?.has(code) === true) return new AlreadyDone({ code })
  if (code === "message_limit_exceeded") {
    const { retryAfterMs } = rateLimit(retryAfter)
    return new RateLimited({ retryAfterMs: Math.max(retryAfterMs, floodRetryAfterMs), workspace: true })
  }
  if (rateLimited.has(code)) return rateLimit(retryAfter)
  if (later.has(code)) return new NotSent({ detail: code })
  if (laterHere.has(code)) return new NotSent({ detail: code, onlyThis: true })
  if (credentialCodes.has(code)) return new Credentials({ code })
  if (configuration.has(code) || configurations.test(code)) {
    const needed: unknown = Reflect.get(data, "needed")
    return new Configuration(typeof needed === "string" ? { code, needed } : { code })
  }
  if (permanent.has(code) || permanents.test(code)) return new Permanent({ code })
  if (code === "service_unavailable") return new Ambiguous({ detail: code, unavailable: true })
  // HTML, an empty body and codes nobody has seen come here too.
  return new Ambiguous({ detail: /^[a-z0-9_]{1,60}$/.test(code) ? code : "an answer that makes no sense" })
}

/** Node's and undici's codes for a request that never left, or never reached a listener. */
const neverArrived = words("ECONNREFUSED ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH UND_ERR_CONNECT_TIMEOUT")

/** The innermost cause that has a code: fetch wraps the socket's error. */
const codeOf = (error: unknown): string => {
  let code = ""
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const found: unknown = Reflect.get(at, "code")
    if (typeof found === "string") code = found
    const nested: unknown = Reflect.get(at, "errors")
    if (code === "" && Array.isArray(nested)) code = codeOf(nested[0])
  }
  return code
}

/** We stopped listening; Slack may still be at it. */
const isTimeout = (error: unknown): boolean =>
  error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError" || isTimeout(error.cause))

/** What a rejection of this method's call means. */
export const classify = (error: unknown, method: string): SlackApiReason => {
  if (error instanceof WebAPIRateLimitedError) return rateLimit(error.retryAfter)
  if (error instanceof WebAPIPlatformError) return byCode(error.data.error, error.data, method)
  if (error instanceof WebAPIHTTPError) {
    return error.statusCode === 429 ? rateLimit(undefined) : httpStatus(error.statusCode)
  }
  if (error instanceof WebAPIRequestError) {
    // So a client says it that waited for Slack by itself, and gave up.
    const waited = /rate limit was exceeded \(.*retry-after: (\d+)\)/.exec(error.original.message)
    if (waited !== null) return rateLimit(Number(waited[1]))
    const code = codeOf(error.original)
    return neverArrived.has(code)
      ? new NotSent({ detail: code })
      : new Ambiguous({ detail: code || "no answer", late: isTimeout(error.original) })
  }
  // Of our own requests: fetch says only that it failed, and why in the cause.
  if (error instanceof TypeError && neverArrived.has(codeOf(error))) return new NotSent({ detail: codeOf(error) })
  // The client throws a bare Error for a 429 without Retry-After.
  if (error instanceof Error && /Retry header did not contain|retry-after/i.test(error.message)) {
    return rateLimit(undefined)
  }
  return new Ambiguous({ detail: error instanceof Error ? error.name : "unknown failure", late: isTimeout(error) })
}

/** What calls to a `response_url` are called, which is no method of Slack's. */
export const responding = "response_url"

/** What an answer to a `response_url` means; undefined when it was taken. */
export const ofResponse = (answer: {
  readonly status: number
  readonly retryAfter: string | null
  readonly text: string
}): SlackApiReason | undefined => {
  if (answer.status === 429) return rateLimit(Number(answer.retryAfter))
  if (answer.status >= 500) return httpStatus(answer.status)
  const said = parsed(answer.text)
  const code: unknown = typeof said === "object" && said !== null ? Reflect.get(said, "error") : answer.text.trim()
  const isTaken = answer.status === 200 &&
    (code === "ok" || code === "" || (typeof said === "object" && said !== null && Reflect.get(said, "ok") === true))
  if (isTaken) return undefined
  if (answer.status === 200) return byCode(code, {}, responding)
  return new Permanent({
    code: typeof code === "string" && /^[a-z0-9_]{1,60}$/.test(code) ? code : `HTTP ${answer.status}`
  })
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
