/** A handler without Effect: an async function that watches `turn.signal`. */
import type { PromiseTurn } from "slackwater"

export default async (turn: PromiseTurn) => {
  await turn.reply("Let me think.")
  const answer = await think(turn.text, turn.signal)
  return answer
}

/** Stands for a model call: it takes its time and stops when the turn is interrupted. */
const think = (question: string, signal: AbortSignal) =>
  new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => resolve(`${question}? I would say so.`), 2_000)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(new Error("interrupted"))
    })
  })
