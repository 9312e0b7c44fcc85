/**
 * SocketDoor: the WebSocket end of Socket Mode.
 *
 * Owns the open WebSockets and which connection of the world each of them is. Turns tickets into connections, frames
 * into calls on the world, and the world's output into frames. Guarantees that a connection the world does not know is
 * never kept, and that a client that does not read is cut off instead of filling the memory.
 * Every socket also belongs to HttpDoor, which destroys it on shutdown.
 */
import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import type { Output } from "./Delivery.ts"
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
    if (world.faults.current.hangUpgrade === true) return
    if (world.faults.current.refuseWebSocket === true) return refuseUpgrade(tcp, "503 Service Unavailable")
    if (!/^\/link\/?$/.test(url.pathname)) return refuseUpgrade(tcp, "404 Not Found")
    if (!world.knowsTicket(ticket)) return refuseUpgrade(tcp, "403 Forbidden")
    this.#server.handleUpgrade(message, tcp, head, (webSocket) => this.#accept(ticket, webSocket, tcp))
  }

  /** Does what the world wants done. */
  perform(output: Output): void {
    const found = this.#open.get(output.connection)
    if (found === undefined) return
    const { webSocket } = found
    if (output._tag === "Close") webSocket.close(1000)
    else if (webSocket.bufferedAmount > unsentLimit) webSocket.terminate()
    else if (webSocket.readyState === WebSocket.OPEN) webSocket.send(output.text, () => undefined)
  }

  /** One ping to every client, unless a fault withholds it. */
  ping(): void {
    if (this.#options.world.faults.current.noPings === true) return
    for (const { webSocket } of this.#open.values()) {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.ping("", false, () => undefined)
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

  #accept(ticket: string, webSocket: WebSocket, tcp: Socket): void {
    const { changed, now, world } = this.#options
    const connection = world.open(ticket, now())
    if (connection === undefined) return webSocket.terminate()
    this.#open.set(connection, { webSocket, tcp })
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
