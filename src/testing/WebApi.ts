/**
 * WebApi: answers Web API calls over a SlackWorld, with the faults that are switched on.
 *
 * Owns the order of things in one call: fault before it takes effect, token, method, fault after it took effect, and
 * the journal entry that tells what really happened. Pure: the answer says what to do with the connection, and whoever
 * holds the connection does it.
 */
import type { Disturbance } from "./Faults.ts"
import type { Json } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import { methods } from "./WebApiMethods.ts"
import type { ApiRequest, Method } from "./WebApiParams.ts"

/** What to do with the connection, after `delayMs`. */
export interface Answer {
  readonly delayMs: number
  readonly action: Disturbance["action"] | { readonly _tag: "Ok"; readonly body: string; readonly scopes: string }
}

/** Which token a method takes, as Slack tells them apart. */
const tokenError = (
  method: Method,
  token: string | undefined,
  revoked: ReadonlyArray<string>
): string | undefined => {
  if (method.token === "none") return undefined
  if (token === undefined || token.trim() === "") return "not_authed"
  const kind = token.startsWith("xapp-") ? "app" : token.startsWith("xoxb-") ? "bot" : undefined
  if (kind === undefined) return "invalid_auth"
  if (revoked.includes(token)) return "token_revoked"
  return kind === method.token ? undefined : "not_allowed_token_type"
}

/** What the bot was installed with, less what `missingScopes` takes away. */
const botScopes = `app_mentions:read,channels:history,channels:read,chat:write,files:read,files:write,groups:history,
groups:read,im:history,im:read,im:write,mpim:history,mpim:read,reactions:write,users:read`.split(/,\s*/)

/** The scopes of the token, as Slack names them with every answer. */
const scopesOf = (world: SlackWorld, token: string | undefined): string => {
  if (token?.startsWith("xapp-") === true) return "connections:write"
  const missing = world.faults.current.missingScopes ?? []
  return botScopes.filter((scope) => !missing.includes(scope)).join(",")
}

const run = (world: SlackWorld, request: ApiRequest, now: number): Json => {
  const method = methods.get(request.method)
  if (method === undefined) return { ok: false, error: "unknown_method", req_method: request.method }
  const refused = tokenError(method, request.token, world.faults.current.revokedTokens ?? [])
  if (refused !== undefined) return { ok: false, error: refused }
  return method.run(world, request, now)
}

export const answerApi = (world: SlackWorld, request: ApiRequest, now: number): Answer => {
  const { faults } = world
  const { method, params } = request
  const channel = [params["channel"], params["channel_id"]].find((value) => typeof value === "string")
  const before = faults.beforeCommit(method, channel ?? "", now)
  const body: Json = before === undefined ? run(world, request, now) : {}
  const committed = body["ok"] === true
  const disturbance = before ?? (committed ? faults.afterCommit(method) : undefined)
  const action = disturbance?.action ?? {
    _tag: "Ok" as const,
    body: JSON.stringify(body),
    scopes: scopesOf(world, request.token)
  }
  const error = action._tag === "Answer" ? action.error : body["error"]
  world.record({
    _tag: "ApiCall",
    method,
    ...(channel === undefined ? {} : { channel }),
    ok: disturbance === undefined && committed,
    ...(typeof error === "string" ? { error } : {}),
    committed,
    ...(disturbance === undefined ? {} : { fault: disturbance.fault })
  }, now)
  return { delayMs: faults.delayMs(method), action }
}
