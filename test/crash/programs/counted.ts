/**
 * The scripted handler, and on SIGUSR2 an account of what the process holds, in the file that COUNTED names: timers,
 * sockets, listeners, and, when nothing is left to be collected, the objects and the heap.
 *
 * The heap is what the program holds, without what Node and V8 add for themselves up to a bound: nothing is compiled to
 * machine code here, and the timings that Node keeps of 250 requests are cleared.
 */
import { channel } from "node:diagnostics_channel"
import { renameSync, writeFileSync } from "node:fs"
import { queryObjects, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export { default } from "./scripted.ts"

for (const flag of ["--expose-gc", "--no-opt", "--no-maglev", "--no-sparkplug"]) setFlagsFromString(flag)
const collect: () => void = runInNewContext("gc")
const file = process.env["COUNTED"] ?? ""
let n = 0

const subscribers = (name: string): number => {
  const list: unknown = Reflect.get(channel(name), "_subscribers")
  return Array.isArray(list) ? list.length : 0
}

process.on("SIGUSR2", () => {
  performance.clearResourceTimings()
  collect()
  collect()
  const of = (kind: string) => process.getActiveResourcesInfo().filter((one) => one === kind).length
  const account = {
    n: ++n,
    pid: process.pid,
    timers: of("Timeout"),
    sockets: of("TCPSocketWrap"),
    watchers: of("FSEventWrap"),
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    subscribers: ["open", "ping", "pong"].reduce((sum, what) => sum + subscribers(`undici:websocket:${what}`), 0),
    objects: queryObjects(Object, { format: "count" }),
    heap: process.memoryUsage().heapUsed
  }
  writeFileSync(`${file}.tmp`, JSON.stringify(account))
  renameSync(`${file}.tmp`, file)
})
