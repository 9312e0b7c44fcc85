/** `slackwater status` in words. Texts of alarms are safe for a terminal here. */
import type { Alarm, Inbox, Replies, Snapshot, SocketState } from "../Snapshot.ts"
import { longFor, secondOf } from "./ages.ts"
import type { Colour, Paint } from "./paint.ts"
import type { NoAnswer } from "./statusAnswer.ts"
import { oneLine } from "./terminalText.ts"

const line = (name: string, text: string) => `${name.padEnd(15)}${text}`

/** What is nothing to look at is left out, but for what everybody asks about. */
const counted = (counts: ReadonlyArray<readonly [name: string, count: number, always?: true]>) =>
  counts.filter(([, count, always]) => count > 0 || always === true).map(([name, count]) => `${count} ${name}`)

const oldest = (ageMs: number | null) => ageMs === null ? [] : [`the oldest queued for ${longFor(ageMs)}`]

const inboxText = ({ oldestQueuedAgeMs, ...inbox }: typeof Inbox.Type, paint: Paint) =>
  [
    ...counted([
      ["queued", inbox.queued, true],
      ["processing", inbox.processing, true],
      ["done", inbox.done, true],
      ["ignored", inbox.ignored]
    ]),
    ...(inbox.failed === 0 ? [] : [paint("red", `${inbox.failed} failed (dead letters)`)]),
    ...oldest(oldestQueuedAgeMs)
  ].join(", ")

const outboxText = ({ oldestQueuedAgeMs, ...replies }: typeof Replies.Type, paint: Paint) => {
  const bad = (name: string, count: number): ReadonlyArray<string> =>
    count === 0 ? [] : [paint("red", `${count} ${name}`)]
  return [
    ...counted([
      ["queued", replies.queued, true],
      ["sending", replies.sending, true],
      ["to be sent again", replies.failed_retryable],
      ["delivered", replies.delivered, true]
    ]),
    ...(replies.unknown > replies.held ? [paint("yellow", `${replies.unknown - replies.held} unknown`)] : []),
    ...bad("unknown (held)", replies.held),
    ...bad("expired", replies.expired),
    ...bad("failed for good", replies.failed_terminal),
    ...oldest(oldestQueuedAgeMs)
  ].join(", ")
}

const socketColours: Readonly<Record<SocketState["state"], Colour>> = {
  starting: "yellow",
  connected: "green",
  rotating: "green",
  disconnected: "red",
  fatal: "red"
}

const socketText = (socket: SocketState, network: Snapshot["network"], now: number, paint: Paint) => {
  const since = socket.connectedSince ?? socket.disconnectedSince
  return [
    paint(socketColours[socket.state], socket.state) +
    (since === null ? "" : ` for ${longFor(now - since)}`),
    `connection ${socket.generation}`,
    `${socket.connections} open`,
    ...(socket.reconnects === 0 ? [] : [`${socket.reconnects} replaced`]),
    ...(network === "up" ? [] : [paint("red", "Slack cannot be reached")])
  ].join(", ")
}

const alarmText = ({ code, since, text }: Alarm, now: number, paint: Paint) =>
  `  ${paint("red", oneLine(code))} for ${longFor(now - since)}: ${oneLine(text)}`

const endings: Readonly<Record<Snapshot["previousStop"], string>> = {
  clean: "in order",
  crash: "killed or crashed",
  none: "there was none"
}

export const printSnapshot = (snapshot: Snapshot, url: string, now: number, paint: Paint): string => {
  const { alarms, outbox: { paused, ...outbox } } = snapshot
  const phase = paint(snapshot.phase === "running" ? "green" : "yellow", snapshot.phase)
  return [
    line("Gateway", `${phase} at ${url}, up for ${longFor(snapshot.uptimeMs)}`),
    line("Release", `${oneLine(snapshot.version)}, instance ${oneLine(snapshot.instance)}`),
    line("Socket", socketText(snapshot.socket, snapshot.network, now, paint)),
    line("Turns", `${snapshot.conversations.active} running`),
    line("Inbox", inboxText(snapshot.inbox, paint)),
    line(
      "Outbox",
      `${outboxText(outbox, paint)}${paused ? `, ${paint("red", "paused: Slack lets us post nothing")}` : ""}`
    ),
    line(
      "Heartbeat",
      snapshot.heartbeat === null ? "none yet" : `${longFor(Math.max(0, now - snapshot.heartbeat))} ago`
    ),
    line("Stop before", endings[snapshot.previousStop]),
    line("Alarms", alarms.length === 0 ? paint("green", "none") : paint("red", String(alarms.length))),
    ...alarms.map((alarm) => alarmText(alarm, now, paint))
  ].join("\n")
}

const lastText = ({ ended, instance, pid, startedAt, stoppedAt }: NonNullable<NoAnswer["last"]>, now: number) => {
  const end = stoppedAt !== null
    ? `stopped in order ${longFor(now - stoppedAt)} ago, at ${secondOf(stoppedAt)}`
    : ended === "crash"
    ? "ended without a stop: killed or crashed"
    : "has not stopped"
  return `pid ${pid} (instance ${oneLine(instance)}), started at ${secondOf(startedAt)}, ${end}`
}

export const printSilence = (found: NoAnswer, now: number, paint: Paint): string =>
  [
    line("Gateway", `${paint("red", "no answer")} at ${found.url} (${oneLine(found.problem)})`),
    line("Data", oneLine(found.dataDir)),
    line(
      "Owner",
      found.owner === null
        ? "nobody: no gateway runs on it"
        : `${
          paint("yellow", oneLine(found.owner))
        }; it runs and does not answer here: see SLACKWATER_HOST and SLACKWATER_PORT, ` +
          "or slackwater healthcheck"
    ),
    ...(found.database === null
      ? [line("The last one", found.last === null ? "there was none yet" : lastText(found.last, now))]
      : [line("Database", oneLine(found.database))]),
    ...(found.inbox === null ? [] : [line("Inbox", inboxText(found.inbox, paint))]),
    ...(found.outbox === null ? [] : [line("Outbox", outboxText(found.outbox, paint))])
  ].join("\n")
