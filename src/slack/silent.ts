/** Slack's clients log on their own; what matters reaches our log through typed errors, so theirs stay quiet. */
import { LogLevel } from "@slack/socket-mode"
import type { Logger } from "@slack/socket-mode"

export const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => LogLevel.ERROR,
  setName: () => {}
}
