/**
 * SocketDoor: the WebSocket end of Socket Mode.
 *
 * Owns the open WebSockets and which connection of the world each of them is. Turns tickets into connections, frames
 * into calls on the world, and the world's output into frames. Guarantees that a connection the world does not know is
 * never kept, and that a client that does not read is cut off instead of filling the memory.
 * Every socket also belongs to HttpDoor, which destroys it on shutdown.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { Socket } from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import type { Output } from "./Connections.ts"
import type { Faults } from "./Faults.ts"
import { refuseUpgrade, reset } from "./HttpDoor.ts"
import type { SlackWorld } from "./SlackWorld.ts"

const frameLimit = 1024 * 1024
const unsentLimit = 64 * 1024 * 1024

export interface SocketDoorOptions {
  readonly world: SlackWorld
  readonly now: () => number
  /** To be called after the world was changed. */
  readonly changed: () => void
}

export class SocketDoor {
  readonly #options: SocketDoorOptions
  readonly #open = new Map<string, { readonly webSocket: WebSocket; readonly tcp: Socket }>()
  /** Those that a fault has made silent. */
  readonly #silent = new Set<Socket>()
  /** Those that a fault keeps after their WebSocket is closed. */
  readonly #kept = new Set<Socket>()
  #silentPeer: Faults["silentPeer"]
  // Uncompressed, so that a frame is on the wire when it was sent; pongs are ours because a fault withholds them.
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: frameLimit,
    autoPong: false,
    perMessageDeflate: false
  })

  constructor(options: SocketDoorOptions) {
    this.#options = options
  }

  upgrade(message: IncomingMessage, url: URL, tcp: Socket, head: Buffer): void {
    const { world } = this.#options
    const ticket = url.searchParams.get("ticket") ?? ""
    const { hangUpgrade, refuseWebSocket: refusal = false } = world.faults.current
    if (hangUpgrade === true) return
    if (refusal !== false) {
      const status = refusal === true ? 503 : refusal
      return refuseUpgrade(tcp, `${status} ${STATUS_CODES[status] ?? "Refused"}`)
    }
    if (!/^\/link\/?$/.test(url.pathname)) return refuseUpgrade(tcp, "404 Not Found")
    if (!world.knowsTicket(ticket)) return refuseUpgrade(tcp, "403 Forbidden")
    this.#server.handleUpgrade(message, tcp, head, (webSocket) => this.#accept(ticket, webSocket, tcp))
  }

  /** Does what the world wants done. */
  perform(output: Output): void {
    const found = this.#open.get(output.connection)
    if (found === undefined) return
    const { tcp, webSocket } = found
    if (this.#silent.has(tcp)) return
    if (output._tag === "Close") webSocket.close(1000)
    else if (webSocket.bufferedAmount > unsentLimit) webSocket.terminate()
    else if (webSocket.readyState === WebSocket.OPEN) webSocket.send(output.text, () => undefined)
  }

  /** One ping to every client, unless a fault withholds it. */
  ping(): void {
    if (this.#options.world.faults.current.noPings === true) return
    for (const { tcp, webSocket } of this.#open.values()) {
      if (webSocket.readyState === WebSocket.OPEN && !this.#silent.has(tcp)) webSocket.ping("", false, () => undefined)
    }
  }

  /** Resets every connection. The world knows at once, as it would not in reality, so that tests do not race. */
  drop(): number {
    const dropped = [...this.#open]
    for (const [connection, { tcp }] of dropped) {
      this.#forget(connection)
      reset(tcp)
    }
    return dropped.length
  }

  /** Faults were changed: does to the sockets that are there what they say. */
  faultsChanged(): void {
    const { keepTcpOpen, silentPeer } = this.#options.world.faults.current
    if (keepTcpOpen !== true) { for (const tcp of this.#kept) reset(tcp) }
    if (silentPeer === this.#silentPeer) return
    this.#silentPeer = silentPeer
    if (silentPeer === undefined) { for (const tcp of this.#silent) reset(tcp) }
    else for (const { tcp } of this.#open.values()) this.#silence(tcp)
  }

  /** What arrives stays unread, so nothing is answered either; what we would send is not sent (`perform`, `ping`). */
  #silence(tcp: Socket): void {
    tcp.pause()
    this.#silent.add(tcp)
    tcp.once("close", () => this.#silent.delete(tcp))
  }

  #accept(ticket: string, webSocket: WebSocket, tcp: Socket): void {
    const { changed, now, world } = this.#options
    const connection = world.open(ticket, now())
    if (connection === undefined) return webSocket.terminate()
    this.#open.set(connection, { webSocket, tcp })
    if (world.faults.current.silentPeer === "all") this.#silence(tcp)
    const end = tcp.end.bind(tcp)
    // This is how a WebSocket ends its TCP connection when both sides have said that they close.
    tcp.end = (...last: Array<unknown>) => {
      if (world.faults.current.keepTcpOpen !== true) return end(...last as Parameters<typeof end>)
      this.#kept.add(tcp)
      tcp.once("close", () => this.#kept.delete(tcp))
      this.#forget(connection)
      return tcp
    }
    // What cannot be read (too large, not WebSocket) ends it here and now; a polite close would wait for half a minute.
    webSocket.on("error", () => webSocket.terminate())
    webSocket.on("close", () => this.#forget(connection))
    webSocket.on("ping", (data) => {
      if (world.faults.current.noPongs !== true) webSocket.pong(data, false, () => undefined)
    })
    webSocket.on("message", (data, isBinary) => {
      if (isBinary) return
      world.received(connection, String(data), now())
      changed()
    })
    changed()
  }

  #forget(connection: string): void {
    if (!this.#open.delete(connection)) return
    this.#options.world.closed(connection, this.#options.now())
    this.#options.changed()
  }
}
