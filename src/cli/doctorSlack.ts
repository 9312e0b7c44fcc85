/**
 * What Slack says of the tokens: `auth.test` for the bot token, its scopes and the clock; `apps.connections.open` for the
 * app token and Socket Mode. The latter answers with an address and opens nothing: a gateway that runs is not disturbed.
 */
import { Clock, Duration, Effect, Option, type Redacted, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { remedyOf } from "../Endings.ts"
import type { Settings } from "../GatewayConfig.ts"
import { codeOf, once } from "./askGateway.ts"
import { scopeFindings } from "./doctorScopes.ts"
import { type Finding, ok, skipped, warning, wrong } from "./findings.ts"
import { oneLine } from "./terminalText.ts"

/** Slack's messages are named by its clock, and looked for by ours (ms). */
const mostSkew = 60_000

type Named = "bot" | "app"
const names: Readonly<Record<Named, string>> = { bot: "bot token", app: "app token" }

interface Said {
  readonly status: number
  readonly ok: boolean
  readonly code: string
  readonly team: string
  readonly teamId: string
  readonly user: string
  readonly scopes: string | undefined
  /** How much later our clock is than Slack's (ms); undefined where Slack did not say. */
  readonly ahead: number | undefined
  /** How exact that is. */
  readonly within: number
}

const Body = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.String),
  team: Schema.optionalKey(Schema.String),
  team_id: Schema.optionalKey(Schema.String),
  user: Schema.optionalKey(Schema.String)
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Body))

export type SlackSettings = Pick<Settings, "slackApiUrl" | "requestTimeout">

/** Slack's answer; a word where there is none. */
const ask = Effect.fnUntraced(
  function*(method: string, token: Redacted.Redacted, { requestTimeout, slackApiUrl }: SlackSettings) {
    const base = slackApiUrl.endsWith("/") ? slackApiUrl : `${slackApiUrl}/`
    const request = HttpClientRequest.post(`${base}${method}`).pipe(once, HttpClientRequest.bearerToken(token))
    const sentAt = yield* Clock.currentTimeMillis
    const heard = yield* HttpClient.execute(request).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (body) => ({ response, body }))),
      Effect.mapError(codeOf),
      Effect.timeoutOrElse({
        duration: requestTimeout,
        orElse: () => Effect.fail(`no answer within ${Duration.format(requestTimeout)}`)
      })
    )
    const heardAt = yield* Clock.currentTimeMillis
    const { headers, status } = heard.response
    const body = Option.getOrElse(decode(heard.body), (): typeof Body.Type => ({ ok: false }))
    const date = Date.parse(headers["date"] ?? "")
    const answer: Said = {
      status,
      ok: body.ok,
      code: /^[a-z0-9_]{1,60}$/.test(body.error ?? "") ? body.error ?? "" : `HTTP ${status}`,
      team: body.team ?? "",
      teamId: body.team_id ?? "",
      user: body.user ?? "",
      scopes: headers["x-oauth-scopes"],
      // The header has whole seconds: on average it is half of one late.
      ahead: Number.isNaN(date) ? undefined : (sentAt + heardAt) / 2 - (date + 500),
      within: (heardAt - sentAt) / 2 + 500
    }
    return answer
  },
  Effect.provide(FetchHttpClient.layer, { local: true })
)

const unreachable = (check: string, url: string, why: string) =>
  wrong(
    check,
    `Slack's Web API does not answer at ${url} (${oneLine(why)})`,
    "see that this machine reaches it: network, DNS, proxy, firewall, SLACK_API_URL"
  )

/** Slack has no time just now, or does not want to. */
const isBusy = ({ code, status }: Said) => status === 429 || status >= 500 || code === "ratelimited"

const refusedBy = (token: Named, { code }: Said): Finding =>
  wrong(
    names[token],
    `Slack does not accept the ${names[token]} (${code})`,
    remedyOf(code, token) ?? "check the app's tokens, scopes and Socket Mode at api.slack.com/apps"
  )

const clockFinding = ({ ahead, within }: Said): Finding => {
  if (ahead === undefined) return skipped("clock", "Slack did not say what time it is")
  const off = Math.max(0, Math.abs(ahead) - within)
  const words = `${Math.round(Math.abs(ahead) / 1_000)} s ${ahead > 0 ? "ahead of" : "behind"} Slack's`
  return off <= mostSkew
    ? ok("clock", off < 2_000 ? "agrees with Slack's" : words)
    : wrong("clock", words, "let the system keep its clock right (NTP): messages are looked up by their time")
}

/** What the bot token is good for; and the team it belongs to. */
export const checkBot = Effect.fnUntraced(function*(token: Redacted.Redacted, settings: SlackSettings) {
  const heard = yield* Effect.result(ask("auth.test", token, settings))
  if (heard._tag === "Failure") {
    return { team: "", findings: [unreachable("bot token", settings.slackApiUrl, heard.failure)] }
  }
  const said = heard.success
  const findings: ReadonlyArray<Finding> = isBusy(said)
    ? [warning("bot token", `Slack has no time to say (${said.code})`, "try again in a minute")]
    : said.ok
    ? [
      ok("bot token", `accepted: ${oneLine(said.user)} in ${oneLine(said.team)} (${oneLine(said.teamId)})`),
      ...scopeFindings(said.scopes)
    ]
    : [refusedBy("bot", said)]
  return { team: said.ok ? said.teamId : "", findings: [...findings, clockFinding(said)] }
})

export const checkApp = Effect.fnUntraced(function*(token: Redacted.Redacted, settings: SlackSettings) {
  const heard = yield* Effect.result(ask("apps.connections.open", token, settings))
  if (heard._tag === "Failure") return [unreachable("app token", settings.slackApiUrl, heard.failure)]
  const said = heard.success
  if (said.ok) return [ok("app token", "accepted"), ok("Socket Mode", "switched on")]
  if (isBusy(said)) {
    return [warning("app token", `Slack has no time to say (${said.code})`, "try again in a minute")]
  }
  return said.code === "link_disabled"
    ? [
      ok("app token", "known to Slack"),
      wrong("Socket Mode", "switched off for this app (link_disabled)", remedyOf(said.code, "app") ?? "")
    ]
    : [refusedBy("app", said)]
})
