/** The gateway in a program without Effect. SIGTERM is its orderly stop. */
import { start } from "slackwater/promise"

const gateway = await start({
  handler: async (turn) => {
    await turn.status("is thinking …")
    return `You said: ${turn.text}`
  },
  dataDir: "./bot-data",
  signals: true
})

await gateway.outbox.enqueue({ channel: "C0GENERAL", text: "I am here.", key: "here" })

/** Rejects when the gateway cannot go on, with an error that has a code; `process.exit` is yours to call, or not. */
await gateway.ended
