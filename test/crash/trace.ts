/**
 * What a process did to its files and said on its sockets, in the order of its system calls, as strace wrote it down.
 *
 * A call that another thread interrupted counts where it began, but for a sync, which counts where it was done: so
 * nothing seems safer than it was.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { basename } from "node:path"

export type Traced =
  | { readonly _tag: "Write"; readonly file: string; readonly offset: number; readonly bytes: Buffer }
  | { readonly _tag: "Truncate"; readonly file: string; readonly size: number }
  | { readonly _tag: "Unlink"; readonly file: string }
  | { readonly _tag: "Sync"; readonly file: string }
  /** An acknowledgement for Slack. */
  | { readonly _tag: "Ack"; readonly envelopeId: string }

const calls = "fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64,ftruncate,unlink"

/** The command that runs another one and stays behind it: the child's pid is that one's. */
export const traced = (file: string): ReadonlyArray<string> =>
  `strace -D -f -qq --seccomp-bpf -yy -xx -s 4096 -e trace=${calls} -e signal=none -o`.split(" ").concat(file)

/** Whether strace is here and may trace. */
export const canTrace = (): boolean =>
  spawnSync("strace", ["-qq", "-f", "--seccomp-bpf", "-e", "trace=fsync", "true"], { timeout: 10_000 }).status === 0

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll("\\x", ""), "hex")

/** `24<\x2f…>` and the rest of the arguments. */
const fileCall = /^(?:\d+<((?:\\x[0-9a-f]{2})*)>|"((?:\\x[0-9a-f]{2})*)")(?:, )?([^]*)$/

/** The frame of a WebSocket client: a whole text, masked. */
const unmask = (frame: Buffer): string | undefined => {
  if (frame[0] !== 0x81 || (frame[1] ?? 0) < 0x80) return undefined
  const short = (frame[1] ?? 0) & 0x7f
  if (short === 127) return undefined
  const start = short === 126 ? 4 : 2
  const length = short === 126 ? frame.readUInt16BE(2) : short
  const mask = frame.subarray(start, start + 4)
  const payload = frame.subarray(start + 4, start + 4 + length)
  return Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))).toString("utf8")
}

const ackIn = (text: string | undefined): Traced | undefined => {
  if (text?.startsWith("{") !== true) return undefined
  const { envelope_id: envelopeId }: { readonly envelope_id?: string } = JSON.parse(text)
  return envelopeId === undefined ? undefined : { _tag: "Ack", envelopeId }
}

const understand = (call: string, args: string): Traced | undefined => {
  if (/^\d+<TCP/.test(args)) {
    const pieces = [...args.matchAll(/(?:iov_base=|>, )"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex]) => bytesOf(hex ?? ""))
    return ackIn(unmask(Buffer.concat(pieces)))
  }
  const [, path, unlinked, rest = ""] = fileCall.exec(args) ?? []
  const file = basename(bytesOf(path ?? unlinked ?? "").toString("utf8"))
  if (file === "") return undefined
  switch (call) {
    case "fsync":
    case "fdatasync":
      return { _tag: "Sync", file }
    case "unlink":
      return { _tag: "Unlink", file }
    case "ftruncate":
      return { _tag: "Truncate", file, size: Number.parseInt(rest) }
    case "pwrite64": {
      const [, hex = "", cut, length, offset] = /^"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, (\d+), (\d+)/.exec(rest) ?? []
      const bytes = bytesOf(hex)
      if (cut !== undefined || bytes.length !== Number(length)) throw new Error(`a write of ${length} bytes was cut`)
      return { _tag: "Write", file, offset: Number(offset), bytes }
    }
    default:
      return undefined
  }
}

/** Reads a trace; calls that failed are left out. */
export const readTrace = (file: string): ReadonlyArray<Traced> => {
  const found: Array<Traced | undefined> = []
  const begun = new Map<string, { readonly call: string; readonly args: string; readonly at: number }>()
  for (const line of readFileSync(file, "latin1").split("\n")) {
    const [, pid = "", rest = ""] = /^(\d+)\s+([^]*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. (\w+) resumed>([^]*)\) += (-?\d+)/.exec(rest)
    if (resumed !== null) {
      const start = begun.get(pid)
      begun.delete(pid)
      if (start === undefined || Number(resumed[3]) < 0) continue
      const event = understand(start.call, start.args + (resumed[2] ?? ""))
      if (event?._tag === "Sync") found.push(event)
      else found[start.at] = event
      continue
    }
    const [, call = "", args = ""] = /^(\w+)\(([^]*)$/.exec(rest) ?? []
    if (call === "") continue
    if (args.endsWith(" <unfinished ...>")) {
      begun.set(pid, { call, args: args.slice(0, -" <unfinished ...>".length), at: found.push(undefined) - 1 })
      continue
    }
    const [, all, result] = /^([^]*)\) += (-?\d+)/.exec(args) ?? []
    if (all !== undefined && Number(result) >= 0) found.push(understand(call, all))
  }
  return found.filter((event) => event !== undefined)
}
