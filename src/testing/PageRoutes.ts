/**
 * PageRoutes: what the chat page needs of a LocalSlack beside messages and faults.
 *
 * Owns the secret of this run, which is in the page and nowhere else: a change that a browser asks for must bring it, so
 * that no other page, whatever address it has, can write, switch or kill anything here. Programs, which send no `Origin`,
 * need it only to signal the gateway. Owns the ways of messages, and a kill that waits for the next ack.
 */
import { Schema } from "effect"
import { randomBytes, timingSafeEqual } from "node:crypto"
import { chatPage } from "./ChatPage.ts"
import { answer, answerJson, type Request } from "./HttpDoor.ts"
import type { JournalEntry } from "./Journal.ts"
import type { SlackWorld } from "./SlackWorld.ts"
import { KillSignal, type WatchedGateway } from "./WatchedGateway.ts"
import { Ways } from "./Ways.ts"
import { bot, team } from "./Workspace.ts"

export interface PageOptions {
  /** Where the page finds the gateway's dashboard. */
  readonly dashboardUrl?: string
  /** The gateway that the page shows, and may kill. */
  readonly gateway?: WatchedGateway
}

export const NewChannel = Schema.Struct({ name: Schema.String })
/** `now`, as soon as the gateway has acked the next message that somebody writes, or, after all, never. */
export const Kill = Schema.Struct({
  signal: KillSignal,
  when: Schema.optionalKey(Schema.Literals(["now", "nextAck", "never"]))
})

export class PageRoutes {
  readonly #world: SlackWorld
  readonly #options: PageOptions
  readonly #now: () => number
  readonly #secret = randomBytes(24).toString("base64url")
  readonly #ways: Ways
  #armed: KillSignal | undefined
  #faults = "{}"
  #gateway: { readonly running: boolean; readonly starts: number; readonly [key: string]: unknown } = {
    running: false,
    starts: 0
  }

  constructor(world: SlackWorld, now: () => number, options: PageOptions) {
    this.#world = world
    this.#now = now
    this.#options = options
    this.#ways = new Ways({
      find: (channel, ts) => world.workspace.find(channel, ts),
      isDirect: (channel) => world.workspace.conversation(channel)?.kind === "im"
    })
  }

  /** Whether this request may change something. */
  mayChange({ headers, url }: Request): boolean {
    const isBrowser = headers.origin !== undefined || headers["sec-fetch-site"] !== undefined
    return this.#hasSecret(headers["x-local-secret"]) || (!isBrowser && url.pathname !== "/_local/gateway")
  }

  page({ response }: Request): void {
    const { html, headers } = chatPage(this.#secret)
    answer(response, 200, html, headers)
  }

  state({ response }: Request): void {
    const { faults, live, unacked, workspace } = this.#world
    const { dashboardUrl, gateway } = this.#options
    answerJson(response, 200, {
      team,
      bot,
      channels: workspace.conversations,
      people: workspace.people.filter((person) => !person.isBot),
      connections: live.length,
      unacked: unacked.length,
      faults: faults.active,
      statuses: this.#world.statuses(this.#now()),
      ways: this.#ways.all,
      gateway: this.#gateway,
      hasGateway: gateway !== undefined,
      armed: this.#armed !== undefined,
      dashboardUrl: dashboardUrl ?? null
    })
  }

  createChannel(name: string): { readonly ok: true; readonly channel: string } | {
    readonly ok: false
    readonly error: string
  } {
    if (!/^[a-z0-9][a-z0-9_-]{0,79}$/.test(name)) return { ok: false, error: "invalid_name" }
    const made = this.#world.workspace.createChannel(name)
    if (made === undefined) return { ok: false, error: "name_taken" }
    this.#world.record({ _tag: "ChannelCreated", channel: made.id, name }, this.#now())
    return { ok: true, channel: made.id }
  }

  kill({ signal, when }: typeof Kill.Type): { readonly ok: boolean; readonly error?: string } {
    if (this.#options.gateway === undefined) return { ok: false, error: "no_gateway" }
    this.#armed = when === "nextAck" ? signal : undefined
    if (when === "nextAck" || when === "never") return { ok: true }
    return this.#signal(signal) ? { ok: true } : { ok: false, error: "gateway_not_running" }
  }

  /** What the page is told beside the entries themselves. */
  news(entries: ReadonlyArray<JournalEntry>): ReadonlyArray<unknown> {
    for (const entry of entries) this.#watch(entry)
    const ways = new Map(entries.flatMap((entry) => this.#ways.apply(entry)).map((way) => [way.ts + way.channel, way]))
    const told: Array<unknown> = [...ways.values()].map((way) => ({ _tag: "WayChanged", way }))
    if (entries.some(({ _tag }) => _tag === "GatewayStarted" || _tag === "GatewayEnded")) {
      told.push({ _tag: "GatewayChanged", gateway: this.#gateway })
    }
    const faults = JSON.stringify(this.#world.faults.active)
    if (faults !== this.#faults) told.push({ _tag: "FaultsChanged", faults: this.#world.faults.active })
    this.#faults = faults
    return told
  }

  /** After everything else was done about these entries. */
  fire(entries: ReadonlyArray<JournalEntry>): void {
    const acked = entries.some((one) => one._tag === "AckReceived" && !one.ignored && one.about !== undefined)
    if (this.#armed === undefined || !acked) return
    const signal = this.#armed
    this.#armed = undefined
    this.#signal(signal)
  }

  #watch(entry: JournalEntry): void {
    const { starts } = this.#gateway
    if (entry._tag === "GatewayStarted") this.#gateway = { running: true, starts: starts + 1, pid: entry.pid }
    else if (entry._tag === "GatewayEnded") {
      this.#gateway = { running: false, starts, code: entry.code, signal: entry.signal }
    }
  }

  #signal(signal: KillSignal): boolean {
    const done = this.#options.gateway?.signal(signal) === true
    if (done) this.#world.record({ _tag: "GatewaySignalled", signal }, this.#now())
    return done
  }

  #hasSecret(given: string | ReadonlyArray<string> | undefined): boolean {
    const [mine, theirs] = [Buffer.from(this.#secret), Buffer.from(typeof given === "string" ? given : "")]
    return mine.length === theirs.length && timingSafeEqual(mine, theirs)
  }
}
