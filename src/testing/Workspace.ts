/**
 * Workspace: the people, conversations and messages of one pretend Slack team.
 *
 * Owns every message, its thread, its reactions and its metadata, and hands out `ts` values that are unique and
 * increasing in the whole workspace, also when two messages fall into the same millisecond.
 * Guarantees that a thread's root is always a top-level message: a reply to a reply lands in the root's thread, as in
 * Slack. Does not know about connections, events or HTTP, reads no clock, and keeps messages as long as it lives, unless
 * `messagesKept` bounds them.
 */

export interface WorkspaceOptions {
  /** Ids of channels beside `C0GENERAL`. */
  readonly channels?: ReadonlyArray<string>
  /** Ids of people beside `U0ALICE` and `U0BOB`: the direct message of `U0CAROL` is `D0CAROL`. */
  readonly people?: ReadonlyArray<string>
  /** Messages of one conversation that are kept, the newest (default: all); a thread whose root is gone is gone too. */
  readonly messagesKept?: number
}

export const team = { id: "T0LOCAL", name: "Local", domain: "local" } as const
export const bot = { userId: "U0BOT", botId: "B0BOT", appId: "A0LOCAL", name: "bot" } as const

export interface Person {
  readonly id: string
  readonly name: string
  readonly realName: string
  readonly isBot: boolean
}

export interface Conversation {
  readonly id: string
  readonly kind: "channel" | "im"
  /** The channel's name, or the name of the person at the other end of a direct message. */
  readonly name: string
  /** The person a direct message is with. */
  readonly user?: string
}

export interface Reaction {
  readonly name: string
  readonly users: ReadonlyArray<string>
}

export interface File {
  readonly id: string
  readonly name: string
  readonly title: string
  readonly size: number
}

export interface Message {
  readonly channel: string
  readonly ts: string
  readonly user: string
  readonly text: string
  readonly fromBot: boolean
  /** The root's `ts`, on replies only. */
  readonly threadTs?: string
  readonly broadcast?: boolean
  readonly blocks?: unknown
  readonly attachments?: unknown
  readonly metadata?: unknown
  readonly clientMsgId?: string
  readonly files?: ReadonlyArray<File>
  /** Until when (epoch ms) more text may be streamed into it. */
  readonly streamingUntil?: number | undefined
  readonly edited?: { readonly user: string; readonly ts: string }
  readonly reactions: ReadonlyArray<Reaction>
  /** What Slack leaves in place of a deleted message that has replies. */
  readonly tombstone?: boolean
  /** When it was stored (epoch ms), which decides when a lagging history shows it. */
  readonly storedAt: number
}

export interface Draft {
  readonly channel: string
  readonly user: string
  readonly text: string
  readonly threadTs?: string
  readonly broadcast?: boolean
  readonly blocks?: unknown
  readonly attachments?: unknown
  readonly metadata?: unknown
  readonly clientMsgId?: string
  readonly files?: ReadonlyArray<File>
  readonly streamingUntil?: number
}

const filesKept = 1_000
const contentsKept = 20

const person = (id: string, name: string, realName: string, isBot = false): Person => ({ id, name, realName, isBot })
const dmId = (user: string) => `D0${user.replace(/^U0?/, "")}`

export class Workspace {
  readonly #people = new Map<string, Person>()
  readonly #conversations = new Map<string, Conversation>()
  /** Every message of a conversation, oldest first. */
  readonly #messages = new Map<string, Array<Message>>()
  /** The replies of a thread, oldest first, by `channel/ts` of its root. */
  readonly #replies = new Map<string, Array<string>>()
  readonly #files = new Map<string, File & { received: boolean }>()
  /** What the newest files contain. */
  readonly #contents = new Map<string, Uint8Array>()
  #fileCount = 0
  #lastMicros = 0

  readonly #kept: number

  constructor({ channels = [], messagesKept = Infinity, people = [] }: WorkspaceOptions = {}) {
    this.#kept = Math.max(1, messagesKept)
    for (
      const p of [
        person("U0ALICE", "alice", "Alice"),
        person("U0BOB", "bob", "Bob"),
        ...people.map((id) => person(id, id.toLowerCase(), id)),
        person(bot.userId, bot.name, "Bot", true)
      ]
    ) {
      this.#people.set(p.id, p)
    }
    this.#add({ id: "C0GENERAL", kind: "channel", name: "general" })
    for (const id of channels) this.#add({ id, kind: "channel", name: id.toLowerCase() })
    for (const id of ["U0ALICE", "U0BOB", ...people]) this.directMessage(id)
  }

  get people(): ReadonlyArray<Person> {
    return [...this.#people.values()]
  }

  get conversations(): ReadonlyArray<Conversation> {
    return [...this.#conversations.values()]
  }

  person(id: string): Person | undefined {
    return this.#people.get(id)
  }

  /** A conversation by id, by `#name` or, for a direct message with the bot, by the person's id, as Slack takes it. */
  conversation(reference: string): Conversation | undefined {
    const found = this.#conversations.get(reference)
    if (found !== undefined) return found
    if (this.#people.get(reference)?.isBot === false) return this.directMessage(reference)
    const name = reference.replace(/^#/, "")
    return this.conversations.find((c) => c.kind === "channel" && c.name === name)
  }

  /** The direct message between the bot and a person; made when it does not exist. */
  directMessage(user: string): Conversation | undefined {
    const who = this.#people.get(user)
    if (who === undefined || who.isBot) return undefined
    return this.#conversations.get(dmId(user)) ??
      this.#add({ id: dmId(user), kind: "im", name: who.realName, user })
  }

  /** May this person write here? Everybody is in every channel, a direct message has two ends. */
  isMember(conversation: Conversation, user: string): boolean {
    return conversation.kind === "channel" || conversation.user === user || user === bot.userId
  }

  /** The next `ts`: the time in microseconds, pushed on until it is larger than every one before. */
  nextTs(now: number): string {
    this.#lastMicros = Math.max(now * 1000, this.#lastMicros + 1)
    const seconds = Math.floor(this.#lastMicros / 1_000_000)
    const micros = this.#lastMicros % 1_000_000
    return `${String(seconds).padStart(10, "0")}.${String(micros).padStart(6, "0")}`
  }

  messages(channel: string): ReadonlyArray<Message> {
    return this.#messages.get(channel) ?? []
  }

  find(channel: string, ts: string): Message | undefined {
    const at = this.#indexOf(channel, ts)
    return at === -1 ? undefined : this.#messages.get(channel)?.[at]
  }

  replies(channel: string, rootTs: string): ReadonlyArray<Message> {
    const list = this.#replies.get(`${channel}/${rootTs}`) ?? []
    return list.flatMap((ts) => this.find(channel, ts) ?? [])
  }

  /** The root of the thread that `ts` belongs to: the message itself when it is top-level. */
  root(channel: string, ts: string): Message | undefined {
    const message = this.find(channel, ts)
    return message?.threadTs === undefined ? message : this.find(channel, message.threadTs)
  }

  /** Stores a message. The caller has checked the conversation and that `threadTs` names an existing message. */
  post(draft: Draft, now: number): Message {
    const { threadTs, ...rest } = draft
    const root = threadTs === undefined ? undefined : this.root(draft.channel, threadTs)?.ts
    const message: Message = {
      ...rest,
      ...(root === undefined ? {} : { threadTs: root }),
      ts: this.nextTs(now),
      fromBot: draft.user === bot.userId,
      reactions: [],
      storedAt: now
    }
    const all = this.#messages.get(draft.channel)
    all?.push(message)
    const oldest = all !== undefined && all.length > this.#kept ? all.shift() : undefined
    if (oldest !== undefined) this.#unthread(oldest)
    if (root !== undefined) {
      const key = `${draft.channel}/${root}`
      const list = this.#replies.get(key)
      if (list === undefined) this.#replies.set(key, [message.ts])
      else list.push(message.ts)
    }
    return message
  }

  replace(message: Message): void {
    const at = this.#indexOf(message.channel, message.ts)
    if (at !== -1) this.#messages.get(message.channel)?.splice(at, 1, message)
  }

  /** Removes a message. A root that has replies leaves a tombstone, so that its thread stays reachable. */
  remove(message: Message): void {
    const key = `${message.channel}/${message.threadTs ?? message.ts}`
    if (message.threadTs === undefined && (this.#replies.get(key)?.length ?? 0) > 0) {
      const { blocks: _, attachments: _a, metadata: _m, ...rest } = message
      return this.replace({ ...rest, text: "This message was deleted.", user: "USLACKBOT", tombstone: true })
    }
    const list = this.#messages.get(message.channel)
    const at = this.#indexOf(message.channel, message.ts)
    if (list !== undefined && at !== -1) list.splice(at, 1)
    this.#unthread(message)
  }

  /** A new channel; undefined when the name is taken. */
  createChannel(name: string): Conversation | undefined {
    if (this.conversations.some((c) => c.kind === "channel" && c.name === name)) return undefined
    const id = `C0${name.replace(/[^a-z0-9]/g, "").toUpperCase()}`
    const free = this.#conversations.has(id) || id === "C0" ? `${id}X${this.#conversations.size}` : id
    return this.#add({ id: free, kind: "channel", name })
  }

  /** A file that a person shares. */
  shareFile(name: string): File {
    return { id: `F0${String(++this.#fileCount).padStart(6, "0")}`, name, title: name, size: 0 }
  }

  /** A place for a file that will be uploaded. Of places that stay empty, only the newest are kept. */
  reserveFile(name: string, size: number): string {
    const id = `F0${String(++this.#fileCount).padStart(6, "0")}`
    this.#files.set(id, { id, name, title: name, size, received: false })
    const [oldest] = this.#files.keys()
    if (this.#files.size > filesKept && oldest !== undefined) this.#files.delete(oldest)
    return id
  }

  receiveFile(id: string, bytes?: Uint8Array): boolean {
    const file = this.#files.get(id)
    if (file === undefined) return false
    file.received = true
    if (bytes !== undefined) this.#contents.set(id, bytes)
    const [oldest] = this.#contents.keys()
    if (this.#contents.size > contentsKept && oldest !== undefined) this.#contents.delete(oldest)
    return true
  }

  /** What was uploaded under this id. */
  content(id: string): Uint8Array | undefined {
    return this.#contents.get(id)
  }

  /** The messages that have this file. */
  sharesOf(id: string): ReadonlyArray<Message> {
    return this.conversations.flatMap((conversation) =>
      this.messages(conversation.id).filter(({ files }) => files?.some((file) => file.id === id))
    )
  }

  receivedFile(id: string, title: unknown): File | undefined {
    const file = this.#files.get(id)
    if (file?.received !== true) return undefined
    return { id, name: file.name, title: typeof title === "string" ? title : file.title, size: file.size }
  }

  /** Takes a message out of its thread; a root takes its thread along. */
  #unthread(message: Message): void {
    const key = `${message.channel}/${message.threadTs ?? message.ts}`
    const left = message.threadTs === undefined ? [] : this.#replies.get(key)?.filter((ts) => ts !== message.ts) ?? []
    if (left.length > 0) this.#replies.set(key, left)
    else this.#replies.delete(key)
  }

  #add(conversation: Conversation): Conversation {
    this.#conversations.set(conversation.id, conversation)
    this.#messages.set(conversation.id, [])
    return conversation
  }

  /** Messages are in `ts` order, and fixed-width digits sort as text. */
  #indexOf(channel: string, ts: string): number {
    const list = this.#messages.get(channel) ?? []
    let low = 0
    let high = list.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const at = list[middle]?.ts ?? ""
      if (at === ts) return middle
      if (at < ts) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}
