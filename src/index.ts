/** The public names of `slackwater`. */
export { type Activate, type Activation, defaultActivation } from "./Activation.ts"
export { Debouncer } from "./Debouncer.ts"
export { type Response, type SlackMessage } from "./Dispatch.ts"
export { type Event, type EventBody, type EventKind, eventOf } from "./Event.ts"
export * as Gateway from "./Gateway.ts"
export { GatewayConfig, GatewayConfigError, type Mode, type Settings } from "./GatewayConfig.ts"
export { GatewayStatus } from "./GatewayStatus.ts"
export { GaugesEvery } from "./Gauges.ts"
export {
  type Answer,
  Handler,
  type HandlerOf,
  type PromiseReply,
  type PromiseRoutes,
  type PromiseStream,
  type PromiseTurn,
  type Routes,
  type Turn
} from "./Handler.ts"
export { type TurnState } from "./HandlerTurn.ts"
export { HttpError } from "./http/Server.ts"
export { ConversationKey, type Destination, InboundMessage, Reply } from "./Message.ts"
export { type HistoryEntry, MessageStore } from "./MessageStore.ts"
export { type FilePost, Outbox, type Post } from "./Outbox.ts"
export { ReplyHandle } from "./ReplyHandle.ts"
export type { TurnStream } from "./ReplyStream.ts"
export { type AckAnswer, type AnswerableKind, type Respond } from "./Responder.ts"
export { SocketLayer } from "./SocketLayer.ts"
export { DatabaseError } from "./sql/DatabaseError.ts"
export { StoreError } from "./StoreError.ts"
export { GaveUp, Supervisor } from "./Supervisor.ts"
export { HandlerError, ReplyFailed, ReplyUnknown, StepFailed, TurnError, TurnOver } from "./TurnError.ts"
export { Watchdog } from "./Watchdog.ts"
