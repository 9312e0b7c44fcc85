/** The verdict in words, and the ledger of what failed in a file. */
import { writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Failure, Tally } from "./campaign.ts"

export const progressLine = (tally: Tally, of: number) =>
  `${tally.kills + tally.terms} of ${of} ends: ${tally.kills} kills, ${tally.terms} terms, ${tally.seconds} s\n`

export const summary = (tally: Tally): string => {
  const named = Object.entries(tally.points).map(([point, { aimed, hit }]) =>
    `  ${String(hit).padStart(4)} of ${String(aimed).padStart(3)}  ${point}`
  )
  const troubles = Object.entries(tally.troubles).filter(([, times]) => times > 0)
    .map(([name, times]) => `${name} ${times}`)
  return [
    `seed ${tally.seed}: ${tally.kills} SIGKILL, ${tally.terms} SIGTERM, ${tally.seconds} s`,
    `${tally.messages} messages, ${tally.posts} posts: ${tally.lost} lost, ${tally.doubled} doubled, ` +
    `${tally.outOfOrder} out of order, ${tally.corrupted} corrupted files, ${tally.wrongEndings} wrong endings; ` +
    `the slowest stop took ${tally.slowestStopMs} ms`,
    "named points hit:",
    ...named,
    `beside troubles: ${troubles.join(", ") || "none"}`,
    ""
  ].join("\n")
}

/** Writes everything about the failures into a file and answers its name. */
export const keep = (tally: Tally, failures: ReadonlyArray<Failure>): string => {
  const file = join(tmpdir(), `slackwater-crash-seed-${tally.seed}.json`)
  writeFileSync(file, JSON.stringify({ tally, failures }, null, 2), { mode: 0o600 })
  return file
}

const lastOf = (text: string, characters: number) => text.slice(-characters)

/** For stderr: the seed, what failed, and the end of the last ledger. */
export const explanation = (tally: Tally, failures: ReadonlyArray<Failure>, file: string): string =>
  [
    `FAILED with seed ${tally.seed}; everything is in ${file}`,
    ...failures.flatMap(({ dataDir, epoch, what }) => [
      `epoch ${epoch}, data in ${dataDir}:`,
      ...what.map((line) => `  ${line}`)
    ]),
    "the end of the last ledger:",
    lastOf(JSON.stringify(failures.at(-1)?.ledger, null, 1), 3_000),
    "the end of the last log:",
    lastOf(failures.at(-1)?.log ?? "", 3_000),
    ""
  ].join("\n")
