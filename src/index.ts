/** The public names of `slackwater`. */
export { type Activate, type Activation, defaultActivation } from "./Activation.ts"
export { Debouncer } from "./Debouncer.ts"
export { type Event, type EventBody, type EventKind, eventOf } from "./Event.ts"
export * as Gateway from "./Gateway.ts"
export { GatewayConfig, GatewayConfigError, type Mode, type Settings } from "./GatewayConfig.ts"
export { GatewayStatus } from "./GatewayStatus.ts"
export {
  type Answer,
  Handler,
  HandlerError,
  type HandlerOf,
  type PromiseRoutes,
  type PromiseTurn,
  ReplyFailed,
  ReplyHandle,
  type Routes,
  StepFailed,
  type Turn,
  TurnError,
  TurnOver,
  type TurnState
} from "./Handler.ts"
export { HttpError } from "./http/Server.ts"
export { ConversationKey, type Destination, InboundMessage, Reply } from "./Message.ts"
export { type HistoryEntry, MessageStore } from "./MessageStore.ts"
export { Outbox, type Post } from "./Outbox.ts"
export { type AckAnswer, type AnswerableKind, type Respond } from "./Responder.ts"
export { SocketLayer } from "./SocketLayer.ts"
export { DatabaseError } from "./sql/DatabaseError.ts"
export { StoreError } from "./StoreError.ts"
export { GaveUp, Supervisor } from "./Supervisor.ts"
export { Watchdog } from "./Watchdog.ts"
