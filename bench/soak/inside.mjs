/**
 * Goes into the gateway's process of a soak, before the program (`--import`).
 *
 * Tells the parent how large the heap is; and takes one check away: a key horizon below a day is refused, since Slack may
 * repeat an event hours later. There is no such Slack here, and a soak that is to see keys come and go cannot wait for
 * a day. The rest of the program is as it is published.
 */
import process from "node:process"
import { knobs } from "../../dist/GatewayConfig.js"

Object.assign(knobs.keyHorizon, { valid: () => true })

setInterval(() => process.send?.(process.memoryUsage()), 1_000).unref()
