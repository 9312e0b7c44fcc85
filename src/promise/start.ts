/**
 * The gateway for people who do not write Effect: `start(options)`, and promises from there on.
 *
 * Guarantees: the same engine, so the same as everywhere. `close` is the orderly stop, and done when everything is on
 * disk and closed; it may be called at any time and any number of times.
 * Does not: install signal handlers unless it is told to, or ever end the process. A gateway that gives up closes itself,
 * and `ended` says why.
 */
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import process from "node:process"
import type { Activate } from "../Activation.ts"
import * as Gateway from "../Gateway.ts"
import type { Mode } from "../GatewayConfig.ts"
import { GatewayStatus, type Snapshot } from "../GatewayStatus.ts"
import { type Answer, Handler, type HandlerOf, type PromiseRoutes, type PromiseTurn } from "../Handler.ts"
import type { ConversationKey } from "../Message.ts"
import { type FilePost, Outbox, type Post } from "../Outbox.ts"
import { type PromiseReply, promiseReplyWith } from "../PromiseTurn.ts"
import type { Respond } from "../Responder.ts"
import { type PlainSettings, readSettings } from "./PlainSettings.ts"
import { settled, SlackwaterError, withErrors } from "./SlackwaterError.ts"

export interface StartOptions extends PlainSettings {
  /** An async function, an object of them by kind of event, or what `Handler` made. */
  readonly handler: ((turn: PromiseTurn) => Answer | Promise<Answer>) | PromiseRoutes | HandlerOf
  /** Answers that go into the ack, within Slack's three seconds. */
  readonly respond?: Respond
  /** Which messages start a turn. */
  readonly activate?: Activate
  /** The mode of each conversation; overrides `mode`. */
  readonly modeOf?: (conversation: ConversationKey) => Mode
  /** SIGTERM and SIGINT close the gateway; a second one is Node's own, which ends the process. Default: no. */
  readonly signals?: boolean
  /** Takes the log, a line of JSON at a time; `false` for none. Default: standard error. */
  readonly log?: false | ((line: string) => void)
}

export interface RunningGateway {
  /** The orderly stop. */
  readonly close: () => Promise<void>
  readonly status: () => Promise<Snapshot>
  readonly outbox: {
    /** Commits a message or a file; on disk when it resolves. Once per `key`, where there is one. */
    readonly enqueue: (
      post: Post | FilePost,
      options?: { readonly notBefore?: Date }
    ) => Promise<PromiseReply>
  }
  /** Resolves when it was closed; rejects when it gave up, and has closed itself. */
  readonly ended: Promise<void>
}

const logging = (log: StartOptions["log"]) =>
  Logger.layer(
    log === false
      ? []
      : log === undefined
      ? [Logger.withConsoleError(Logger.formatJson)]
      : [Logger.map(Logger.formatJson, log)]
  )

/** Resolves when everything is up; rejects with what is wrong otherwise, and then nothing is left of it. */
export const start = async (options: StartOptions): Promise<RunningGateway> => {
  const { activate, handler: given, log, modeOf, respond, signals = false, ...plain } = options
  const handler = Handler.fromExport(given)
  if (handler === undefined) {
    throw new SlackwaterError("handler must be a function, an object of functions by kind, or made by Handler", {
      code: "HandlerError",
      exitCode: 78
    })
  }
  const config = await withErrors(readSettings(plain))
  const gateway = Gateway.layer({
    handler,
    config,
    ...(respond === undefined ? {} : { respond }),
    ...(activate === undefined ? {} : { activate }),
    ...(modeOf === undefined ? {} : { mode: modeOf })
  })
  const runtime = ManagedRuntime.make(Layer.provideMerge(gateway, logging(log)))

  let closing: Promise<void> | undefined
  const listen = (what: "on" | "off") => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process[what](name, onSignal)
  }
  const onSignal = () => {
    listen("off")
    void close()
  }
  const close = (): Promise<void> =>
    // What still waits for something is interrupted, and rejects.
    closing ??= runtime.dispose().finally(() => listen("off"))
  const run = async <A, E>(effect: Effect.Effect<A, E, ManagedRuntime.ManagedRuntime.Services<typeof runtime>>) => {
    if (closing !== undefined) throw new SlackwaterError("the gateway is closed", { code: "Closed" })
    return await settled(runtime.runPromiseExit(effect))
  }
  if (signals) listen("on")
  try {
    await run(Effect.void)
  } catch (error) {
    await close()
    throw error
  }

  const ended = run(Gateway.run).catch(async (error: unknown) => {
    if (closing !== undefined) return await closing
    await close()
    throw error
  })
  // Whoever awaits it sees it fail; to whoever does not, the log has said it.
  ended.catch(() => {})

  return {
    close,
    ended,
    status: () => run(Effect.flatMap(GatewayStatus, ({ snapshot }) => snapshot)),
    outbox: {
      enqueue: (post, sending) =>
        run(Effect.map(Effect.flatMap(Outbox, ({ enqueue }) => enqueue(post, sending)), promiseReplyWith(run)))
    }
  }
}
