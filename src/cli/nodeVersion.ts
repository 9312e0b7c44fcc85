/**
 * The Node that we need, and what is said on an older one.
 *
 * `bin.ts` asks before it imports anything else, so this file imports nothing and is written in words that old Nodes
 * know too.
 */

/** As `engines` of package.json says. */
export const neededNode = "24.0.0"

const numbersOf = (version: string) => version.split(".").map((part) => Number.parseInt(part, 10))

/** Whether a version like "24.1.0" is that one or a later one. */
export const isNodeNewEnough = (found: string): boolean => {
  const [have, need] = [numbersOf(found), numbersOf(neededNode)]
  for (const [index, least] of need.entries()) {
    const part = have[index] ?? 0
    if (part !== least) return part > least
  }
  return true
}

/** One line that says what to do; undefined where there is nothing to be said. */
export const nodeProblem = (found: string, execPath: string): string | undefined =>
  isNodeNewEnough(found)
    ? undefined
    : `Slackwater needs Node ${neededNode} or later, and this is ${found} (${execPath}): install it, or start ` +
      "slackwater with the right one"
