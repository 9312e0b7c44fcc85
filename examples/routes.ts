/** A slash command, a button and a modal: answered as turns, and where Slack waits for it, at once. */
import { Effect } from "effect"
import { type EventBody, Handler, type Respond } from "slackwater"

const approve = {
  type: "actions",
  elements: [
    { type: "button", action_id: "approve", value: "yes", text: { type: "plain_text", text: "Approve" } }
  ]
}

export default Handler.route({
  message: (turn) => turn.reply(`You said: ${turn.text}`),
  slashCommand: (turn, { command, text }) => turn.reply({ text: `${command} ${text}: shall I?`, blocks: [approve] }),
  blockAction: (turn, { actions: [action], user }) => turn.reply(`<@${user.id}> pressed ${action.action_id}.`),
  viewSubmission: (turn, { view }) => turn.reply(`${cityIn(view)} it is.`),
  reactionAdded: (turn, { reaction }) => Effect.succeed(`Thank you for the :${reaction}:`)
})

/** Goes out with the ack, within Slack's three seconds. A modal that is answered with errors is no turn. */
export const respond: Respond = {
  slashCommand: ({ text }) => ({ text: `Looking into ${text} …` }),
  viewSubmission: ({ view }) =>
    cityIn(view) === "Rome" ? undefined : { response_action: "errors", errors: { where: "All roads lead to Rome." } }
}

/** What was typed into the input `city` of the block `where`. */
const cityIn = (view: EventBody<"viewSubmission">["view"]) => view.state.values["where"]?.["city"]?.value ?? "Nowhere"
