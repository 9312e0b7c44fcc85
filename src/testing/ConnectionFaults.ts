/**
 * ConnectionFaults: what can go wrong with a Socket Mode connection, as fields of a FaultPatch.
 *
 * Each repeats something Slack or the network has done to somebody. What is wrong with the call that opens a
 * connection is a rule for `apps.connections.open` (`rateLimit`, `httpStatus`, `delayMs`) like that for any other method;
 * frames that make no sense are sent with `POST /_local/raw`, and a `disconnect` frame with any reason
 * (`warning`, `refresh_requested`, `link_disabled`, `too_many_websockets`) with `POST /_local/disconnect`.
 */
import { Schema } from "effect"

export const knob = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))
export const Milliseconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Status = Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 }))

export const connectionFaults = {
  /** `apps.connections.open` answers `{ ok: false, error }` with this code: `token_revoked`, `missing_scope`. */
  openError: knob(Schema.String),
  /** `apps.connections.open` answers with a WebSocket address on this host, such as one without a DNS record. */
  socketHost: knob(Schema.String),
  /** WebSocket upgrades are answered with this HTTP status; `true` is 503. */
  refuseWebSocket: knob(Schema.Union([Schema.Boolean, Status])),
  /** WebSocket upgrades are never answered. */
  hangUpgrade: knob(Schema.Boolean),
  /** The WebSocket opens and stays silent: no hello, no events. */
  noHello: knob(Schema.Boolean),
  /** The client's pings are not answered. */
  noPongs: knob(Schema.Boolean),
  /** The server sends no pings. */
  noPings: knob(Schema.Boolean),
  /**
   * The peer is half-open: TCP stays, and nothing is read, answered or sent any more, no close either. `open` does that
   * to the WebSockets that are there when it is switched on, `all` also to those that come. They are reset when it is
   * switched off. Slack does not know: it goes on sending, and counts them.
   */
  silentPeer: knob(Schema.Literals(["open", "all"])),
  /** TCP stays open after the close handshake, for half a minute or until this is switched off. */
  keepTcpOpen: knob(Schema.Boolean),
  /** A connection is closed so long after it was opened. */
  closeAfterMs: knob(Milliseconds),
  /** A connection is refreshed so long after it was opened: hello says so, a warning comes first, then the request. */
  refreshAfterMs: knob(Milliseconds),
  /** The approximate connection lifetime in hello, in seconds, whatever the lifetime really is. */
  approximateConnectionTime: knob(Schema.Finite),
  /** Events go on coming on a connection after its `disconnect` frame, until it is closed. */
  eventsBehindDisconnect: knob(Schema.Boolean),
  /** So many connections of which the app knows nothing: hello and the limit of ten count them, and events go to them. */
  ghosts: knob(Schema.Int.check(Schema.isGreaterThan(0)))
}
