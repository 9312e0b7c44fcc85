/**
 * The secrets this process was given, so that none of them is printed: whoever reads settings remembers them here, and
 * whatever leaves the process as text (log lines, errors, exported telemetry) goes through `hide`.
 */
import { hiding } from "../redaction.ts"

const secrets = new Set<string>()
let current = hiding()

export const remember = (secret: string): void => {
  if (secrets.has(secret)) return
  secrets.add(secret)
  current = hiding(secrets)
}

export const hide = (text: string): string => current(text)
