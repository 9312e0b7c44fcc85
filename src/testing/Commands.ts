/**
 * Commands: slash commands on their way to the app, and the addresses at which commands and buttons may be answered.
 *
 * Owns the payload of a command, and every `response_url`, which works five times within 30 minutes, as Slack's does.
 * Pure; bounded: an address whose time is over is forgotten when the next one is made.
 */
import type { Json } from "./SlackShapes.ts"
import { bot, type Conversation, type Person, team } from "./Workspace.ts"

export interface Command {
  readonly channel: string
  readonly user: string
  /** With its slash. */
  readonly command: string
  readonly text: string
}

interface Who {
  readonly conversation: Conversation
  readonly person: Person
  readonly id: string
  readonly origin: string
}

interface Answerable {
  readonly channel: string
  readonly user: string
  readonly until: number
  usesLeft: number
  /** The `ts` of what was last posted to the channel through this address. */
  posted?: string
}

const uses = 5
const lifetimeMs = 30 * 60_000

export class Commands {
  readonly #answerable = new Map<string, Answerable>()

  /** An address at which the app may answer this person. */
  address({ conversation, id, origin, person }: Who, now: number): string {
    for (const [id, { until }] of this.#answerable) if (until <= now) this.#answerable.delete(id)
    this.#answerable.set(id, { channel: conversation.id, user: person.id, until: now + lifetimeMs, usesLeft: uses })
    return `${origin}/respond/${id}`
  }

  payload(command: Command, who: Who, now: number): Json {
    const { conversation, id, person } = who
    return {
      token: "local-verification-token",
      team_id: team.id,
      team_domain: team.domain,
      channel_id: conversation.id,
      channel_name: conversation.kind === "im" ? "directmessage" : conversation.name,
      user_id: person.id,
      user_name: person.name,
      command: command.command,
      text: command.text,
      api_app_id: bot.appId,
      is_enterprise_install: "false",
      response_url: this.address(who, now),
      trigger_id: `trigger.${id}`
    }
  }

  /** Uses the address once; undefined when it is spent, over or unknown. */
  use(id: string, now: number): Answerable | undefined {
    const found = this.#answerable.get(id)
    if (found === undefined || found.until <= now || found.usesLeft === 0) return undefined
    found.usesLeft--
    return found
  }
}
