/** The scopes of the bot token that the gateway needs, and what each is for. Pure. */
import { type Finding, ok, skipped, warning, wrong } from "./findings.ts"

/** Without these not everything comes that starts a turn by default, or nothing is answered. */
const needed: Readonly<Record<string, string>> = {
  "chat:write": "nothing can be posted",
  "app_mentions:read": "mentions do not come",
  "im:history": "direct messages do not come, and replies in them cannot be looked up",
  "channels:history": "what is said in its threads does not come, and replies in channels cannot be looked up"
}

/** Without these something less common does not work. */
const useful: Readonly<Record<string, string>> = {
  "groups:history": "private channels",
  "mpim:history": "group messages",
  "channels:read": "catching up in channels",
  "groups:read": "catching up in private channels",
  "im:read": "catching up in direct messages",
  "mpim:read": "catching up in group messages",
  "files:write": "turn.upload",
  "files:read": "looking up uploads",
  "reactions:write": "turn.react",
  "im:write": "uploads to a person (U…)"
}

const where = "under OAuth & Permissions of the app at api.slack.com/apps, then install it again"

const lacking = (scopes: Readonly<Record<string, string>>, granted: ReadonlySet<string>) =>
  Object.entries(scopes).filter(([scope]) => !granted.has(scope))

/** `header` is `x-oauth-scopes`, as Slack sends it with every answer. */
export const scopeFindings = (header: string | undefined): ReadonlyArray<Finding> => {
  if (header === undefined) return [skipped("scopes", "Slack did not name the scopes of the bot token")]
  const granted = new Set(header.split(",").map((scope) => scope.trim()).filter((scope) => scope !== ""))
  const missing = lacking(needed, granted)
  const more = lacking(useful, granted)
  return [
    missing.length === 0
      ? ok("scopes", `the bot token has ${Object.keys(needed).join(", ")}`)
      : wrong(
        "scopes",
        `the bot token lacks ${missing.map(([scope, without]) => `${scope} (${without})`).join("; ")}`,
        `add ${missing.map(([scope]) => scope).join(", ")} ${where}`
      ),
    ...(more.length === 0
      ? []
      : [warning(
        "more scopes",
        `without ${more.map(([scope, what]) => `${scope} (${what})`).join(", ")}, these do not work`,
        `add those you want ${where}`
      )])
  ]
}
