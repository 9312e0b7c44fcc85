/**
 * `POST /login` changes the admin token for a session in a cookie, so that no page has to keep the token; `POST /logout`
 * ends it. The cookie's value is random, scripts cannot read it, and no other site can send it.
 */
import { Duration, Effect, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Admission, sessionFor } from "../Admission.ts"
import { answering, bodyOf, Refusal, refusal } from "./answers.ts"
import { addressOf, cookieOf, limited, loginAnswer, noToken, wrong } from "./Guard.ts"

const Given = Schema.Struct({ token: Schema.String })
const Session = Schema.Struct({
  /** Whether whoever asks may change things. */
  loggedIn: Schema.Boolean,
  /** Whether there is a token to log in with. */
  hasToken: Schema.Boolean
})

const isForm = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers["content-type"] ?? "")

const isTls = ({ headers }: HttpServerRequest.HttpServerRequest) => headers["x-forwarded-proto"] === "https"

const given = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  if (!isForm(request)) return yield* bodyOf(Given)
  return yield* Effect.mapError(
    HttpServerRequest.schemaBodyUrlParams(Given),
    () => new Refusal({ status: 400, error: "the form has no token" })
  )
})

/** To the page it came from. */
const toPage = HttpServerResponse.empty({ status: 303, headers: { location: "/" } })

const login = Effect.gen(function*() {
  const admission = yield* Admission
  const cookie = cookieOf(yield* HttpServer.HttpServer)

  const check = Effect.gen(function*() {
    if (!(yield* admission.hasToken)) return yield* noToken
    const { token } = yield* given
    const request = yield* HttpServerRequest.HttpServerRequest
    const verdict = yield* admission.check(token, addressOf(request))
    if (verdict === "limited") return yield* limited
    if (verdict === "wrong") return yield* wrong
    return { cookie: yield* admission.open, isTls: isTls(request), isForm: isForm(request) }
  })

  const answer = Effect.gen(function*() {
    const opened = yield* check
    const response = opened.isForm
      ? toPage
      : HttpServerResponse.jsonUnsafe({ loggedIn: true, hasToken: true } satisfies typeof Session.Type)
    return HttpServerResponse.setCookieUnsafe(response, cookie, opened.cookie, {
      httpOnly: true,
      sameSite: "strict",
      path: "/",
      secure: opened.isTls,
      maxAge: sessionFor
    })
  }).pipe(
    Effect.catchTag("Refusal", (refused) =>
      Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
        isForm(request)
          ? loginAnswer(refused.status, refused.error)
          : refusal(refused)))
  )

  const logout = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const session = request.cookies[cookie]
    if (session !== undefined) yield* admission.close(session)
    const response = isForm(request)
      ? toPage
      : HttpServerResponse.jsonUnsafe({ loggedIn: false, hasToken: true } satisfies typeof Session.Type)
    return HttpServerResponse.setCookieUnsafe(response, cookie, "", {
      httpOnly: true,
      sameSite: "strict",
      path: "/",
      maxAge: Duration.zero
    })
  })

  const session = answering(Session)(Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const given = request.cookies[cookie]
    return {
      loggedIn: given !== undefined && (yield* admission.knows(given)),
      hasToken: yield* admission.hasToken
    }
  }))

  return [
    HttpRouter.route("POST", "/login", answer),
    HttpRouter.route("POST", "/logout", logout),
    HttpRouter.route("GET", "/api/session", session)
  ] as const
})

export const layer = HttpRouter.use((router) => Effect.flatMap(login, (routes) => router.addAll(routes)))
