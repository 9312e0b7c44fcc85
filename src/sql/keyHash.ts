/**
 * What remains of a message's key when the message is forgotten: enough to recognise a repetition, and not what it was
 * about. Whoever knows a message well enough to name its key can tell that it was seen; nobody can read it off.
 */
import { createHash } from "node:crypto"

const prefix = "sha256:"

export const hashOfKey = (key: string): string => `${prefix}${createHash("sha256").update(key).digest("hex")}`
export const isHash = (key: string): boolean => key.startsWith(prefix)
