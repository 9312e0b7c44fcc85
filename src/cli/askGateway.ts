/**
 * Asks a running gateway over HTTP, at the host and port of the settings, with the admin token where one is set.
 *
 * Does not: look for a gateway at any other place. One with `SLACKWATER_PORT=0` is somewhere else at each start.
 */
import { Effect, type Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { setting } from "../GatewayConfig.ts"

const patience = "5 seconds"

/** An address to which one can connect, where the gateway listens on all of them. */
const reachable = (host: string) => host === "0.0.0.0" || host === "" ? "127.0.0.1" : host === "::" ? "::1" : host

export const addressOf = (host: string, port: number): string => {
  const name = reachable(host)
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`
}

/** Of a request that failed: the socket's code, or what the failure is called. */
export const codeOf = (error: unknown): string => {
  let code = error instanceof Error ? error.name : String(error)
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 6; at = at.cause, depth++) {
    const found: unknown = Reflect.get(at, "code")
    if (typeof found === "string") code = found
  }
  return code
}

/** A connection that is kept would keep the command from ending. */
export const once = HttpClientRequest.setHeader("connection", "close")

type Heard =
  /** Nobody is there, or nobody that says anything in time. */
  | { readonly _tag: "Silence"; readonly why: string }
  | { readonly _tag: "Answer"; readonly status: number; readonly body: string }

/** What is read of the settings: no token of Slack's. */
export const gatewayAddress = Effect.gen(function*() {
  const [host, port, token] = [yield* setting("host"), yield* setting("port"), yield* setting("adminToken")]
  return { url: addressOf(host, port), port, token }
})

export const getFrom = Effect.fnUntraced(
  function*(
    path: string,
    { port, token, url }: { url: string; port: number; token: Redacted.Redacted | null }
  ) {
    if (port === 0) return { _tag: "Silence", why: "SLACKWATER_PORT is 0, so its port is not known" } as const
    const bare = HttpClientRequest.get(`${url}${path}`).pipe(once)
    const request = token === null ? bare : HttpClientRequest.bearerToken(bare, token)
    return yield* HttpClient.execute(request).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (body) => ({ status: response.status, body }))),
      Effect.map((answer): Heard => ({ _tag: "Answer", ...answer })),
      Effect.catch((error) => Effect.succeed<Heard>({ _tag: "Silence", why: codeOf(error) })),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.succeed<Heard>({ _tag: "Silence", why: `no answer within ${patience}` })
      })
    )
  },
  Effect.provide(FetchHttpClient.layer, { local: true })
)
