/**
 * Stands before every route: who may ask what.
 *
 * Guarantees: nothing is changed without the admin token or a session, loopback included; where others than this machine
 * can ask, nothing is shown without it but the state in `/healthz` and `/readyz`. A name that is not ours (DNS rebinding)
 * and a page of another origin are refused whatever they bring, and no answer ever allows another origin to read it.
 * Others can ask when the gateway is bound beyond loopback, and when the request came through a proxy: it names a host
 * that only the setting allows, or says that it was forwarded.
 * Does not: encrypt. TLS is the business of a proxy before it (docs/http.md).
 */
import { ByteSize, Context, Effect, Option } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { Admission } from "../Admission.ts"
import { isLoopback } from "../loopback.ts"
import { Refusal, refusal } from "./answers.ts"
import { loginPage, loginStyle } from "./loginPage.ts"
import { isBeyondLoopback } from "./Server.ts"

/** Bodies are lists of numbers. */
const mostBody = ByteSize.fromInputUnsafe(64 * 1_024)

const policy = (style: string) =>
  `default-src 'none'; script-src 'self'; style-src ${style}; connect-src 'self'; img-src 'self' data:; ` +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const headers = {
  "content-security-policy": policy("'self'"),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "x-frame-options": "DENY",
  "cache-control": "no-store"
}

type Request = HttpServerRequest.HttpServerRequest

/** What anybody may ask who reaches us, and what says more to those who may know it. */
const open = new Set(["/healthz", "/readyz"])
/** How the token is handed over. */
const login = "/login"

const pathOf = ({ url }: Request) => url.split(/[?#]/, 1)[0] ?? ""
const looks = ({ method }: Request) => method === "GET" || method === "HEAD"

/** The name in it without the port; undefined where it is none. */
const nameIn = (authority: string) => /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?$/i.exec(authority)?.[1]?.toLowerCase()

const isAddress = (name: string) => NetAddress.ipFromString(name.replace(/^\[(.*)\]$/, "$1"))._tag === "Success"

/** Whoever forwards a request mostly says so. */
const isForwarded = ({ headers }: Request) =>
  Object.keys(headers).some((name) => name.startsWith("x-forwarded-")) || headers["forwarded"] !== undefined ||
  headers["x-real-ip"] !== undefined || headers["via"] !== undefined

const isOneOf = (allowed: ReadonlyArray<string>, authority: string) => {
  const name = nameIn(authority)
  return allowed.some((one) => one.toLowerCase() === authority.toLowerCase() || one.toLowerCase() === name)
}

/** A page of ours, or no page at all. */
const comesFromUs = (request: Request, host: string, allowed: ReadonlyArray<string>) => {
  const { origin, "sec-fetch-mode": mode, "sec-fetch-site": site } = request.headers
  if (origin !== undefined) {
    const from = URL.canParse(origin) ? new URL(origin).host : ""
    const isAllowed = from === host.toLowerCase() || allowed.some((one) => one.toLowerCase() === from)
    if (from === "" || !isAllowed) return false
  }
  if (site === undefined || site === "same-origin" || site === "none") return true
  // A link from elsewhere may lead to our page; what it shows then, only the person sees.
  return looks(request) && mode === "navigate"
}

/** The cookie's name, apart from that of another gateway on this machine: cookies know no ports. */
export const cookieOf = ({ address }: HttpServer.HttpServer["Service"]) =>
  `slackwater_${address._tag === "UnixPathAddress" ? "session" : address.port}`

export const addressOf = (request: Request) => Option.getOrElse(request.remoteAddress, () => "")

const bearer = /^Bearer +([\x21-\x7e]+) *$/i

export const noToken = new Refusal({
  status: 403,
  error:
    "nothing can be changed over HTTP, because no admin token is set: set SLACKWATER_ADMIN_TOKEN, for example to " +
    "what `openssl rand -hex 32` prints, and reload (SIGUSR1) or restart the gateway"
})
const unauthorized = (error: string) =>
  new Refusal({ status: 401, error, headers: { "www-authenticate": "Bearer realm=\"slackwater\"" } })
const missing = unauthorized(
  "this needs the admin token: send it as \"Authorization: Bearer …\" (the gateway has it as SLACKWATER_ADMIN_TOKEN)"
)
export const wrong = unauthorized("this is not the admin token; the gateway has it as SLACKWATER_ADMIN_TOKEN")
export const limited = new Refusal({
  status: 429,
  error: "too many wrong tokens came from here; try again in a few seconds",
  headers: { "retry-after": "5" }
})
const foreignHost = new Refusal({
  status: 403,
  error: "this is no name of this gateway: ask for localhost or an address, or add the name to SLACKWATER_ALLOWED_HOSTS"
})
const foreignPage = new Refusal({ status: 403, error: "this request comes from a page of another site" })

/** What a route may know of who asks. */
export class Asker extends Context.Service<Asker, { readonly mayLook: boolean }>()("slackwater/http/Asker") {}

const make = Effect.gen(function*() {
  const admission = yield* Admission
  const server = yield* HttpServer.HttpServer
  const isBound = isBeyondLoopback(server)
  const cookie = cookieOf(server)

  /** Undefined for whoever may do everything. */
  const credentials = Effect.fnUntraced(function*(request: Request) {
    const session = request.cookies[cookie]
    if (session !== undefined && (yield* admission.knows(session))) return undefined
    const token = bearer.exec(request.headers["authorization"] ?? "")?.[1]
    if (token === undefined) return missing
    const verdict = yield* admission.check(token, addressOf(request))
    return verdict === "right" ? undefined : verdict === "limited" ? limited : wrong
  })

  /** Whether the asker may look, or why nothing is done. */
  return Effect.fnUntraced(function*(request: Request) {
    const host = request.headers["host"] ?? ""
    const name = nameIn(host)
    const allowed = yield* admission.allowedHosts
    const isOurs = name !== undefined && (isLoopback(name) || isOneOf(allowed, host) || (isBound && isAddress(name)))
    if (name === undefined || !isOurs) return foreignHost
    if (!comesFromUs(request, host, allowed)) return foreignPage
    const isNear = !isBound && isLoopback(name) && !isForwarded(request)
    const path = pathOf(request)
    if (path === login && request.method === "POST") return { mayLook: isNear }
    if (looks(request) && isNear) return { mayLook: true }
    if (!looks(request) && !(yield* admission.hasToken)) return noToken
    const problem = yield* credentials(request)
    if (problem === undefined) return { mayLook: true }
    return looks(request) && open.has(path) ? { mayLook: false } : problem
  })
})

const wantsPage = (request: Request) =>
  looks(request) && /\btext\/html\b/.test(request.headers["accept"] ?? "") && !pathOf(request).startsWith("/api/")

/** The login page brings its own style. Without a referrer a browser would send its form from the origin `null`. */
export const loginAnswer = (status: number, problem?: string) =>
  HttpServerResponse.text(loginPage(problem), {
    status,
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": policy(loginStyle), "referrer-policy": "same-origin" }
  })

/** A person with a browser gets a page to hand the token over. */
const refuse = (request: Request, refused: Refusal) =>
  refused.status === 401 && wantsPage(request)
    ? loginAnswer(401)
    : refusal(refused)

/** What other code left without words. */
const sentences: Readonly<Record<number, string>> = {
  400: "this request makes no sense here",
  404: "there is nothing here; docs/http.md lists what there is",
  500: "something broke; the log says what"
}

const finish = (response: HttpServerResponse.HttpServerResponse) => {
  const sentence = sentences[response.status]
  const worded = response.body._tag === "Empty" && sentence !== undefined
    ? refusal(new Refusal({ status: response.status, error: sentence }))
    : response
  return HttpServerResponse.setHeaders(worded, { ...headers, ...worded.headers })
}

export const layer = HttpRouter.middleware<{ provides: Asker }>()(
  Effect.map(make, (admit) => (route) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      yield* HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(finish(response)))
      const admitted = yield* admit(request)
      if (admitted instanceof Refusal) return refuse(request, admitted)
      return yield* Effect.provideService(route, Asker, admitted)
    }).pipe(Effect.provideService(HttpServerRequest.MaxBodySize, mostBody))),
  { global: true }
)
