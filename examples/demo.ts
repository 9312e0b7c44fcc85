/** A bot to kill: it takes its time in steps, says what it does, and has a button, a modal and a file to try. */
import { WebClient } from "@slack/web-api"
import { Effect } from "effect"
import { type EventBody, Handler, type Turn } from "slackwater"

const slackApiUrl = process.env["SLACK_API_URL"]
const slack = new WebClient(process.env["SLACK_BOT_TOKEN"], slackApiUrl === undefined ? {} : { slackApiUrl })
const steps = ["is reading…", "is looking things up…", "is writing…"]

/** After a kill it goes on with the step that it was in. */
const think = (turn: Turn) =>
  Effect.gen(function*() {
    for (const [index, doing] of steps.entries()) {
      yield* turn.status(doing)
      yield* turn.step(`step ${index}`, Effect.sleep("2 seconds"))
    }
    const again = turn.attempt > 1 ? ` (run ${turn.attempt}: the steps before were not repeated)` : ""
    return `You said: ${turn.text}\nI thought about it in ${steps.length} steps${again}.`
  })

const plain = (text: string) => ({ type: "plain_text" as const, text })
const order = {
  text: "What may it be?",
  blocks: [
    { type: "section", text: { type: "mrkdwn", text: "What may it be? *Lunch* is served at noon." } },
    {
      type: "actions",
      elements: [
        { type: "button", style: "primary", action_id: "order", text: plain("Order lunch") },
        { type: "button", action_id: "later", text: plain("Not now") }
      ]
    }
  ]
}
const input = { type: "plain_text_input" as const, action_id: "name", placeholder: plain("Soup") }
const form = {
  type: "modal" as const,
  title: plain("Lunch"),
  submit: plain("Order"),
  blocks: [{ type: "input" as const, block_id: "dish", label: plain("Dish"), element: input }]
}

export default Handler.route({
  message: (turn) =>
    /\blunch\b/i.test(turn.text)
      ? turn.reply(order)
      : /\bfile\b/i.test(turn.text)
      ? turn.upload({ filename: "notes.txt", content: "Nothing was lost.\n" })
      : think(turn),
  blockAction: (turn, { actions: [action], trigger_id }) =>
    action.action_id === "order"
      ? Effect.promise(async () => void await slack.views.open({ trigger_id: trigger_id ?? "", view: form }))
      : turn.reply("Another time, then."),
  viewSubmission: (turn, { view }) => turn.reply(`One ${dishIn(view)}, coming up.`)
})

const dishIn = (view: EventBody<"viewSubmission">["view"]) => view.state.values["dish"]?.["name"]?.value ?? "surprise"
