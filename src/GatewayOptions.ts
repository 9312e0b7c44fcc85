/** What whoever builds a gateway gives, and what is got: types only. */
import type { Activate } from "./Activation.ts"
import type { GatewayConfig, Mode, Settings } from "./GatewayConfig.ts"
import type { GatewayStatus } from "./GatewayStatus.ts"
import type { HandlerOf } from "./Handler.ts"
import type { ConversationKey } from "./Message.ts"
import type { MessageStore } from "./MessageStore.ts"
import type { Outbox } from "./Outbox.ts"
import type { Respond } from "./Responder.ts"
import type { Supervisor } from "./Supervisor.ts"

export interface Options<R = never, S = never> {
  readonly handler: HandlerOf<R>
  /** Answers that go into the ack, within Slack's three seconds: errors of a modal, options, the reply to a command. */
  readonly respond?: Respond<S>
  /** What is left out comes from the ConfigProvider in force. */
  readonly config?: Partial<Settings>
  /** Which messages start a turn. */
  readonly activate?: Activate
  /** What happens to messages that arrive while their conversation's turn runs; overrides the configured mode. */
  readonly mode?: (conversation: ConversationKey) => Mode
  /** Where the tables are: in a file of their own, or in the database of the `SqlClient` the layer is given. */
  readonly database?: "own"
}

/** The same, with the tables in the host's database. */
export type InHost<Options> = Omit<Options, "database"> & { readonly database: "host" }

/** What leaves the house. */
export type Provided = Outbox | MessageStore | GatewayStatus | Supervisor | GatewayConfig
