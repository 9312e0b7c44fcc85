/**
 * HttpDoor: the TCP port of a LocalSlack.
 *
 * Owns a `node:http` server on 127.0.0.1 and every socket it accepted. It is node's own server and not Effect's
 * because the faults need the raw socket: a reset after a call took effect, half an answer, an upgrade that hangs.
 * Guarantees that no callback throws, that a request body is at most 1 MiB, a file 128 (413), and arrives within 10 s, and that a
 * browser page of another site gets nothing: `Host` must be a loopback name, and `Origin`, when there is one, ours.
 * On shutdown every socket is destroyed; the server is gone within a second.
 */
import { Effect, Schema, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"

/** Another program listens on the port. */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", { port: Schema.Int }) {
  override get message(): string {
    return `port ${this.port} is in use`
  }
}

/** The port cannot be listened on for another reason. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  port: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `cannot listen on port ${this.port}`
  }
}

export interface Request {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  readonly bytes: Buffer
  readonly response: ServerResponse
  readonly socket: Socket
}

export interface HttpDoorOptions {
  readonly port: number
  /** Asked before anything is read; true destroys the socket. */
  readonly slam: (path: string) => boolean
  readonly onRequest: (request: Request) => void
  readonly onUpgrade: (message: IncomingMessage, url: URL, socket: Socket, head: Buffer) => void
  /** A defect in one of the callbacks; the request was answered with 500. */
  readonly onDefect: (cause: unknown) => void
}

const bodyLimit = 1024 * 1024
/** Of a file that is uploaded. */
const fileLimit = 128 * bodyLimit
/** Of a body that is too large this much is read, so that the sender gets to see the answer. */
const drainLimit = 16 * bodyLimit

/** A reset instead of a polite end, so that the peer cannot take it for an answer. */
export const reset = (socket: Duplex): void => {
  if (socket instanceof Socket && !socket.destroyed) socket.resetAndDestroy()
  else socket.destroy()
}

export const answer = (
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {}
): void => {
  if (response.destroyed || response.headersSent) return
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers })
  response.end(body)
}

export const answerJson = (response: ServerResponse, status: number, body: unknown): void =>
  answer(response, status, JSON.stringify(body), { "cache-control": "no-store" })

/** Answers an upgrade with plain HTTP and ends it. */
export const refuseUpgrade = (socket: Duplex, status: string): void => {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

const isLoopback = (host: string) => /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i.test(host)

/** Keeps out pages of other sites, also those that point a name of their own at this address. */
const isWelcome = (message: IncomingMessage, port: number): boolean => {
  if (!isLoopback(message.headers.host ?? "")) return false
  if (message.headers["sec-fetch-site"] === "cross-site") return false
  const origin = message.headers.origin
  return origin === undefined ||
    (origin.startsWith("http://") && isLoopback(origin.slice(7)) && origin.endsWith(`:${port}`))
}

const urlOf = (message: IncomingMessage): URL | undefined => {
  try {
    return new URL(message.url ?? "/", "http://127.0.0.1")
  } catch {
    return undefined
  }
}

/** Opens the port and keeps it open for the scope. Answers the port that was really taken. */
export const open = (
  options: HttpDoorOptions
): Effect.Effect<number, PortInUse | ListenFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    let port = options.port
    const server = createServer({ keepAliveTimeout: 60_000 })
    server.headersTimeout = 10_000
    server.requestTimeout = 10_000

    const guarded = (message: IncomingMessage, onDefect: () => void, run: () => void) => {
      try {
        run()
      } catch (cause) {
        options.onDefect(cause)
        onDefect()
      }
      message.on("error", () => undefined)
    }

    server.on("connection", (socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
      // A peer that resets is ordinary here, and an unheard "error" would end the process.
      socket.on("error", () => undefined)
    })
    server.on("request", (message, response) =>
      guarded(message, () => answer(response, 500, "{}"), () => {
        response.on("error", () => undefined)
        const url = urlOf(message)
        if (url === undefined) return answer(response, 400, "{}")
        if (options.slam(url.pathname)) return reset(message.socket)
        if (!isWelcome(message, port)) return answerJson(response, 403, { ok: false, error: "cross_site_request" })
        const limit = url.pathname.startsWith("/upload/") ? fileLimit : bodyLimit
        readBody(message, response, limit, (bytes) =>
          guarded(message, () => answer(response, 500, "{}"), () =>
            options.onRequest({
              method: message.method ?? "GET",
              url,
              headers: message.headers,
              body: limit === fileLimit ? "" : bytes.toString("utf8"),
              bytes,
              response,
              socket: message.socket
            })))
      }))
    server.on("upgrade", (message, socket, head) =>
      guarded(message, () => socket.destroy(), () => {
        const url = urlOf(message)
        if (url === undefined || !(socket instanceof Socket)) socket.destroy()
        else if (!isWelcome(message, port)) refuseUpgrade(socket, "403 Forbidden")
        else options.onUpgrade(message, url, socket, head)
      }))
    server.on("clientError", (_error, socket) => {
      socket.destroy()
    })

    yield* Effect.addFinalizer(() =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      }).pipe(Effect.timeoutOption("1 second"), Effect.asVoid)
    )
    port = yield* Effect.callback<number, PortInUse | ListenFailed>((resume) => {
      server.once("error", (cause: NodeJS.ErrnoException) => {
        const inUse = cause.code === "EADDRINUSE"
        resume(Effect.fail(inUse ? new PortInUse({ port }) : new ListenFailed({ port, cause })))
      })
      server.listen(port, "127.0.0.1", () => {
        server.on("error", options.onDefect)
        resume(Effect.succeed((server.address() as AddressInfo).port))
      })
    })
    return port
  })

const readBody = (
  message: IncomingMessage,
  response: ServerResponse,
  limit: number,
  then: (bytes: Buffer) => void
): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  message.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= limit) {
      chunks.push(chunk)
      return
    }
    chunks.length = 0
    if (size > Math.max(limit, drainLimit)) message.destroy()
    else answer(response, 413, JSON.stringify({ ok: false, error: "request_too_large" }), { connection: "close" })
  })
  message.on("end", () => {
    if (size <= limit) then(Buffer.concat(chunks))
  })
}
