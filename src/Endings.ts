/**
 * What it means when Slack lets nobody in, or sends a connection away, and what a person can do about it.
 *
 * Owns the table of Slack's codes that only a person can change, each with its remedy. Pure.
 * Does not: act. Close codes of the WebSocket say nothing that the table needs: every connection that ends without one
 * of Slack's words is followed by another one.
 */
import { describe, type SlackApiError } from "./SlackApi.ts"
import type { SlackConnectionError, Token } from "./SlackConnection.ts"

export type Meaning =
  /** Connecting again may help: after the usual pause, and no sooner than this. */
  | { readonly _tag: "Again"; readonly afterMs: number }
  /** There is no room for this connection. Another one at once would be sent away too. */
  | { readonly _tag: "Crowded"; readonly remedy: string }
  /** Slack refuses this app or token, until a person does what the remedy says. */
  | { readonly _tag: "Refused"; readonly remedy: string }

const again = (afterMs = 0): Meaning => ({ _tag: "Again", afterMs })

const tokens: Readonly<Record<Token, { readonly is: string; readonly env: string; readonly begins: string }>> = {
  app: {
    is: "the app-level token (App-Level Tokens on the app's Basic Information page)",
    env: "SLACK_APP_TOKEN",
    begins: "xapp-"
  },
  bot: { is: "the bot token (on the app's OAuth & Permissions page)", env: "SLACK_BOT_TOKEN", begins: "xoxb-" }
}

const unknownToken = (token: Token) =>
  `Slack does not know ${tokens[token].is}: copy it once more and set ${tokens[token].env}`
const wrongKind = (token: Token) =>
  `${tokens[token].env} holds a token of another kind: set ${tokens[token].is}, which begins with ${
    tokens[token].begins
  }`
const renewed = (what: string) => (token: Token) =>
  `Slack ${what} ${tokens[token].is}: make a new one and set ${tokens[token].env}`
const gone = () => "the app was uninstalled or switched off, or its workspace or bot user was: install the app again"
const forbidden = () => "the workspace does not allow this app: ask one of its administrators to approve it"

const remedies: Readonly<Record<string, (token: Token) => string>> = {
  link_disabled: () => "Socket Mode is switched off for this app: switch it on under Socket Mode at api.slack.com/apps",
  missing_scope: (token) =>
    token === "app"
      ? "the app-level token lacks the scope connections:write: make a token with it (App-Level Tokens on the app's " +
        "Basic Information page) and set SLACK_APP_TOKEN"
      : "the bot token lacks a scope: add it on the app's OAuth & Permissions page and install the app again",
  not_authed: unknownToken,
  invalid_auth: unknownToken,
  not_allowed_token_type: wrongKind,
  is_bot: wrongKind,
  token_revoked: renewed("revoked"),
  token_expired: renewed("says that the time is over for"),
  account_inactive: gone,
  user_removed_from_team: gone,
  team_disabled: gone,
  app_access_restricted: forbidden,
  enterprise_is_restricted: forbidden,
  forbidden_team: forbidden,
  access_denied: forbidden,
  ekm_access_denied: forbidden,
  no_permission: forbidden,
  two_factor_setup_required: () => "the workspace wants two-factor sign-in: whoever installed the app must set it up"
}

/** Whether only a person can change what this code of `apps.connections.open` says. */
export const isRefusal = (code: string): boolean => Object.hasOwn(remedies, code)

/** What a person can do about this code; undefined where it is not in the table. */
export const remedyOf = (code: string, token: Token): string | undefined =>
  isRefusal(code) ? remedies[code]?.(token) : undefined

const refused = (code: string, token: Token): Meaning => {
  return {
    _tag: "Refused",
    remedy: `Slack refused the connection (${code}): ${
      remedyOf(code, token) ?? "check the app's tokens, scopes and Socket Mode at api.slack.com/apps"
    }`
  }
}

/** The reason in Slack's `disconnect` frame. `warning`, `refresh_requested` and all others announce a change of host. */
export const ofDisconnect = (reason: string): Meaning => {
  if (reason === "link_disabled") return refused(reason, "app")
  if (reason !== "too_many_websockets") return again()
  return {
    _tag: "Crowded",
    remedy: "Slack says that this app has too many connections (too_many_websockets): look for other processes with " +
      "the same app token"
  }
}

/** Why there is no connection. Who we are is asked before the first one; its failures mean the same. */
export const ofFailure = (error: SlackApiError | SlackConnectionError): Meaning => {
  const { reason } = error
  switch (reason._tag) {
    case "Unreachable":
    case "NotSent":
    case "Ambiguous":
      return again()
    case "TooManyRequests":
    case "RateLimited":
      return again(reason.retryAfterMs)
    case "TurnedAway":
      return ofDisconnect(reason.reason)
    case "Refused":
      return refused(reason.code, reason.token)
    default:
      return refused(reason.code, "bot")
  }
}

/** One line for the log. */
export const sentenceOf = (error: SlackApiError | SlackConnectionError): string =>
  error._tag === "SlackConnectionError" ? error.message : `no connection to Slack: ${describe(error.reason)}`
