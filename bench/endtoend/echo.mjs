/** Answers every message with what was said: the handler of the end-to-end rows. Plain JavaScript, as `boltEcho.mjs`. */
export default (turn) => `You said: ${turn.text}`
