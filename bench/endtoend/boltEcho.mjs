/** The same echo on Slack's own framework, Socket Mode, everything at its default. */
import bolt from "@slack/bolt"
import process from "node:process"

const slackApiUrl = process.env["SLACK_API_URL"]
const receiver = new bolt.SocketModeReceiver({
  appToken: process.env["SLACK_APP_TOKEN"] ?? "",
  installerOptions: { clientOptions: { slackApiUrl } }
})
const app = new bolt.App({ token: process.env["SLACK_BOT_TOKEN"], receiver, clientOptions: { slackApiUrl } })

app.message(async ({ message, say }) => {
  await say(`You said: ${"text" in message ? message.text : ""}`)
})

process.on("SIGTERM", () => process.exit(0))
await app.start()
