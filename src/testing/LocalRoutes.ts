/**
 * LocalRoutes: what a LocalSlack answers over HTTP.
 *
 * Owns the paths: `/api/*` for apps, `/_local/*` for people and tests, and `/` for the chat page; and the translation
 * between HTTP and the world. Every change comes back from the world as journal entries, which `/_local/stream` passes
 * on as server-sent events. Does not read bodies or guard against other sites: HttpDoor has done both; whether a browser
 * may change something PageRoutes decides.
 */
import { Result, Schema } from "effect"
import type { ServerResponse } from "node:http"
import { FaultPatch } from "./Faults.ts"
import { Gesture, performGesture } from "./Gestures.ts"
import { answer, answerJson, type Request, reset } from "./HttpDoor.ts"
import type { JournalEntry } from "./Journal.ts"
import { Kill, NewChannel, type PageOptions, PageRoutes } from "./PageRoutes.ts"
import { localMessage } from "./SlackShapes.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import { type Answer, answerApi } from "./WebApi.ts"

export interface LocalRoutesOptions {
  readonly world: SlackWorld
  readonly now: () => number
  /** To be called after the world was changed. */
  readonly changed: () => void
  /** Runs something later, or never when the LocalSlack closes before. */
  readonly after: (ms: number, run: () => void) => void
  /** Resets all WebSockets. */
  readonly drop: () => number
  readonly origin: () => string
  readonly page: PageOptions
}

const Say = Schema.Struct({
  channel: Schema.String,
  user: Schema.String,
  text: Schema.String,
  thread_ts: Schema.optionalKey(Schema.NullOr(Schema.String)),
  broadcast: Schema.optionalKey(Schema.Boolean),
  files: Schema.optionalKey(Schema.Array(Schema.String))
})
const Command = Schema.Struct({
  channel: Schema.String,
  user: Schema.String,
  command: Schema.String.check(Schema.isPattern(/^\/\S+$/)),
  text: Schema.String
})
const Disconnect = Schema.Struct({ reason: Schema.String, connection: Schema.optionalKey(Schema.String) })
const Redeliver = Schema.Struct({ id: Schema.String })
const Raw = Schema.Struct({ frame: Schema.String })
const Envelope = Schema.Struct({ type: Schema.String, payload: Schema.Record(Schema.String, Schema.Unknown) })

const streamLimit = 4 * 1024 * 1024
const readersLimit = 32

export class LocalRoutes {
  readonly #options: LocalRoutesOptions
  readonly #page: PageRoutes
  readonly #readers = new Set<ServerResponse>()

  constructor(options: LocalRoutesOptions) {
    this.#options = options
    this.#page = new PageRoutes(options.world, options.now, options.page)
  }

  /** Whether anybody looks. */
  get isWatched(): boolean {
    return this.#readers.size > 0
  }

  handle(request: Request): void {
    const { method, url } = request
    if (method !== "GET" && method !== "HEAD" && !this.#page.mayChange(request)) {
      return answerJson(request.response, 403, { ok: false, error: "secret_needed" })
    }
    const outside = /^\/(?:api\/(?<api>.*)|upload\/v1\/(?<upload>[^/]+)|respond\/(?<respond>[^/]+))$/.exec(url.pathname)
    if (outside?.groups?.["api"] !== undefined) return this.#api(request, outside.groups["api"], {})
    if (outside?.groups?.["upload"] !== undefined) {
      return this.#api(request, "upload", { id: outside.groups["upload"], bytes: contentOf(request) })
    }
    const file = /^\/_local\/files\/(?<id>\w+)$/.exec(url.pathname)?.groups?.["id"]
    if (file !== undefined) return this.#file(request, file)
    if (outside?.groups?.["respond"] !== undefined) {
      return this.#api(request, "response_url", { id: outside.groups["respond"] })
    }
    const { drop, now, world } = this.#options
    switch (`${method} ${url.pathname}`) {
      case "GET /":
        return this.#page.page(request)
      case "GET /_local/state":
        return this.#page.state(request)
      case "POST /_local/channels":
        return this.#change(request, NewChannel, ({ name }) => this.#page.createChannel(name))
      case "POST /_local/gateway":
        return this.#change(request, Kill, (kill) => this.#page.kill(kill))
      case "GET /_local/messages":
        return answerJson(request.response, 200, {
          messages: world.messages(url.searchParams.get("channel") ?? "", now())
        })
      case "GET /_local/statuses":
        return answerJson(request.response, 200, { statuses: world.statuses(now()) })
      case "POST /_local/messages":
        return this.#change(
          request,
          Say,
          ({ thread_ts, ...said }) => world.say(thread_ts == null ? said : { ...said, thread_ts }, now())
        )
      case "POST /_local/commands":
        return this.#change(request, Command, (command) => world.command(command, this.#options.origin(), now()))
      case "POST /_local/gestures":
        return this.#change(
          request,
          Gesture,
          (gesture) => performGesture(world, gesture, this.#options.origin(), now())
        )
      case "GET /_local/journal": {
        const after = Number(url.searchParams.get("after") ?? 0)
        return answerJson(request.response, 200, { entries: world.journalAfter(Number.isFinite(after) ? after : 0) })
      }
      case "GET /_local/stream":
        return this.#stream(request)
      case "GET /_local/faults":
        return answerJson(request.response, 200, { ok: true, faults: world.faults.current })
      case "POST /_local/faults":
        return this.#change(request, FaultPatch, (patch) => ({ ok: true, faults: world.faults.patch(patch) }))
      case "DELETE /_local/faults":
        world.faults.clear()
        this.#options.changed()
        return answerJson(request.response, 200, { ok: true, faults: {} })
      case "POST /_local/disconnect":
        return this.#change(request, Disconnect, ({ connection, reason }) => ({
          ok: true,
          connections: world.disconnect(reason, now(), connection)
        }))
      case "POST /_local/drop":
        return answerJson(request.response, 200, { ok: true, connections: drop() })
      case "POST /_local/redeliver":
        return this.#change(request, Redeliver, ({ id }) => ({ ok: world.redeliver(id, now()) }))
      case "POST /_local/raw":
        return this.#change(request, Raw, ({ frame }) => ({ ok: world.raw(frame) }))
      case "POST /_local/envelopes":
        return this.#change(request, Envelope, ({ payload, type }) => ({
          ok: true,
          envelope_id: world.envelope(type, payload, now())
        }))
      default:
        return answerJson(request.response, 404, { ok: false, error: "not_found" })
    }
  }

  /** Passes journal entries on to whoever listens to the stream. */
  publish(entries: ReadonlyArray<JournalEntry>): void {
    const { now, world } = this.#options
    const news = this.#page.news(entries)
    for (const entry of this.isWatched ? entries : []) {
      if (entry._tag === "ApiCall" || entry._tag === "EnvelopeSent" || entry._tag === "AckReceived") continue
      const message = "ts" in entry ? world.workspace.find(entry.channel, entry.ts) : undefined
      const view = entry._tag === "ViewOpened" ? world.views.find(entry.view)?.view : undefined
      const shown = {
        ...entry,
        ...(message && { message: localMessage(message, now()) }),
        ...(view && { shows: view })
      }
      this.#write(`id: ${entry.n}\ndata: ${JSON.stringify(shown)}\n\n`)
    }
    for (const one of news) this.#write(`data: ${JSON.stringify(one)}\n\n`)
    this.#page.fire(entries)
  }

  /** Keeps idle streams open, and notices readers that are gone. */
  heartbeat(): void {
    this.#write(": still here\n\n")
  }

  #write(text: string): void {
    for (const reader of this.#readers) {
      // A page that does not read, such as one in a sleeping laptop, is let go; it asks for everything when it returns.
      if (reader.writableLength > streamLimit) reader.destroy()
      else reader.write(text)
    }
  }

  #stream({ response }: Request): void {
    if (this.#readers.size >= readersLimit) return answerJson(response, 503, { ok: false, error: "too_many_readers" })
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" })
    response.write("retry: 1000\n\n")
    this.#readers.add(response)
    response.on("close", () => this.#readers.delete(response))
  }

  /** What was uploaded, for tests. */
  #file({ response }: Request, id: string): void {
    const content = this.#options.world.workspace.content(id)
    if (content === undefined) return answerJson(response, 404, { ok: false, error: "file_not_found" })
    response.writeHead(200, { "content-type": "application/octet-stream", "cache-control": "no-store" })
    response.end(content)
  }

  /** Decodes the body, changes the world, answers. A refusal of the world is a 400 with its code. */
  #change<A, R extends { readonly ok: boolean }>(
    request: Request,
    schema: Schema.ConstraintDecoder<A>,
    run: (body: A) => R
  ): void {
    const decoded = Schema.decodeUnknownResult(Schema.fromJsonString(schema), { onExcessProperty: "error" })(
      request.body
    )
    if (Result.isFailure(decoded)) {
      return answerJson(request.response, 400, { ok: false, error: "invalid_body", detail: decoded.failure.message })
    }
    const result = run(decoded.success)
    this.#options.changed()
    answerJson(request.response, result.ok ? 200 : 400, result)
  }

  #api(request: Request, method: string, known: Record<string, unknown>): void {
    const params = parameters(request)
    if (params === undefined) return answerJson(request.response, 200, { ok: false, error: "invalid_json" })
    const { after, changed, now, origin, world } = this.#options
    const header = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1]
    const inBody = typeof params["token"] === "string" ? params["token"] : undefined
    const token = header ?? inBody
    const result = answerApi(world, { method, params: { ...params, ...known }, token, origin: origin() }, now())
    changed()
    if (result.delayMs === 0) perform(request, result.action)
    else after(result.delayMs, () => perform(request, result.action))
  }
}

const perform = ({ response, socket }: Request, action: Answer["action"]): void => {
  switch (action._tag) {
    case "Ok":
      return answer(response, 200, action.body, { "x-oauth-scopes": action.scopes, "x-accepted-oauth-scopes": "" })
    case "Answer":
      return answer(response, action.status, action.body, action.headers)
    case "Reset":
      return reset(socket)
    case "Hang":
      return
    case "Stall": {
      response.writeHead(200, { "content-type": "application/json; charset=utf-8", "content-length": "1000" })
      response.write("{\"ok\":true,")
    }
  }
}

/** The bytes of a file: the whole body, or what is in the first part of a form. */
const contentOf = ({ bytes, headers }: Request): Uint8Array => {
  const boundary = /boundary="?(?<name>[^";]+)/.exec(headers["content-type"] ?? "")?.groups?.["name"]
  if (boundary === undefined) return bytes
  const start = bytes.indexOf("\r\n\r\n") + 4
  return bytes.subarray(start, bytes.indexOf(`\r\n--${boundary}`, start))
}

/** Parameters from the query, a form or JSON; undefined when the JSON is none. */
const parameters = (request: Request): Record<string, unknown> | undefined => {
  const query = Object.fromEntries(request.url.searchParams)
  if (!(request.headers["content-type"] ?? "").includes("application/json")) {
    return { ...query, ...Object.fromEntries(new URLSearchParams(request.body)) }
  }
  try {
    const body: unknown = JSON.parse(request.body === "" ? "{}" : request.body)
    return typeof body === "object" && body !== null ? { ...query, ...body } : undefined
  } catch {
    return undefined
  }
}
