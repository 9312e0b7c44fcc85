/** The public names of `slackwater`. */
export { type Activate, type Activation, defaultActivation } from "./Activation.ts"
export { Debouncer } from "./Debouncer.ts"
export { type Response, type SlackMessage } from "./Dispatch.ts"
export * as Gateway from "./Gateway.ts"
export { GatewayConfig, GatewayConfigError, type Settings } from "./GatewayConfig.ts"
export { GatewayStatus } from "./GatewayStatus.ts"
export {
  type Answer,
  Handler,
  type HandlerOf,
  type PromiseReply,
  type PromiseStream,
  type PromiseTurn,
  type Turn
} from "./Handler.ts"
export { HttpError } from "./http/Server.ts"
export { ConversationKey, type Destination, InboundMessage, Reply } from "./Message.ts"
export { MessageStore } from "./MessageStore.ts"
export { Outbox, type Post } from "./Outbox.ts"
export { ReplyHandle } from "./ReplyHandle.ts"
export type { TurnStream } from "./ReplyStream.ts"
export { SocketLayer } from "./SocketLayer.ts"
export { DatabaseError } from "./sql/DatabaseError.ts"
export { StoreError } from "./StoreError.ts"
export { GaveUp, Supervisor } from "./Supervisor.ts"
export { TurnError } from "./TurnError.ts"
export { Watchdog } from "./Watchdog.ts"
