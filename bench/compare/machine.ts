/** What the numbers were measured on, so that they can be compared with others at all. */
import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, unlinkSync, writeSync } from "node:fs"
import os from "node:os"
import { join } from "node:path"
import process from "node:process"

/** Overwrites one page and syncs it, again and again, as a recycled log does. */
const syncsPerSecond = (directory: string, ms = 1_000): number => {
  const file = join(directory, "sync")
  const descriptor = openSync(file, "w")
  const page = Buffer.alloc(4_096, 1)
  try {
    writeSync(descriptor, page, 0, page.length, 0)
    fdatasyncSync(descriptor)
    const began = performance.now()
    let syncs = 0
    for (; performance.now() - began < ms; syncs++) {
      writeSync(descriptor, page, 0, page.length, 0)
      fdatasyncSync(descriptor)
    }
    return syncs / (performance.now() - began) * 1_000
  } finally {
    closeSync(descriptor)
    unlinkSync(file)
  }
}

const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x01021994: "tmpfs",
  0x9123683e: "btrfs",
  0x58465342: "xfs",
  0x2fc12fc1: "zfs",
  0x794c7630: "overlay"
}

export const fileSystemOf = (directory: string): string => {
  const { type } = statfsSync(directory)
  return fileSystems[type] ?? `0x${type.toString(16)}`
}

/** Others at work here, as the kernel counts them. */
const load = () => {
  try {
    return readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 2).join(" ")
  } catch {
    return os.loadavg().slice(0, 2).map((value) => value.toFixed(2)).join(" ")
  }
}

export const describeMachine = (directory: string): Readonly<Record<string, string | number>> => ({
  cpu: os.cpus()[0]?.model.replaceAll(/\s+/g, " ").trim() ?? "unknown",
  cores: os.cpus().length,
  memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  disk: `${fileSystemOf(directory)}, ${Math.round(syncsPerSecond(directory))} syncs/s of 4 KiB`,
  kernel: `${os.type()} ${os.release()}`,
  node: process.version,
  load: load()
})
