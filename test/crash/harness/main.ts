/**
 * The crash harness: `npm run test:crash -- --kills 1000 --terms 200 --seed 7`.
 *
 * Starts real gateways on real files, one after the other, while people talk to them through a LocalSlack that survives,
 * and ends each by SIGKILL or SIGTERM at a moment that comes from the seed. In the end everything that was said must be
 * answered once, in order, and every file whole. Exit code 1 when it is not.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import process from "node:process"
import { campaign } from "./campaign.ts"
import { explanation, keep, progressLine, summary } from "./report.ts"
import { troubleNames } from "./troubles.ts"

/** A line of progress after so many ends where nobody watches a terminal. */
const every = 10

const command = Command.make(
  "test:crash",
  {
    kills: Flag.Int("kills").pipe(Flag.withDescription("Gateways to end by SIGKILL"), Flag.withDefault(22)),
    terms: Flag.Int("terms").pipe(Flag.withDescription("Gateways to end by SIGTERM"), Flag.withDefault(5)),
    seed: Flag.Int("seed").pipe(Flag.withDescription("Decides everything that is decided here"), Flag.withDefault(1)),
    frozenMs: Flag.Int("frozen-ms").pipe(
      Flag.withDescription("How long a frozen process stays frozen; most stay a tenth of it"),
      Flag.withDefault(3_000)
    ),
    troubles: Flag.Literals("trouble", troubleNames).pipe(
      Flag.withDescription("Only these may come; may be given several times"),
      Flag.between(0, troubleNames.length)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the verdict as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ frozenMs, json, kills, seed, terms, troubles }) {
    const { failures, tally } = yield* campaign({
      kills,
      terms,
      seed,
      frozenMs,
      ...(troubles.length === 0 ? {} : { troubles })
    }, (soFar, of) => {
      const ends = soFar.kills + soFar.terms
      if (process.stderr.isTTY) process.stderr.write(`\r${progressLine(soFar, of).trimEnd()}`)
      else if (ends % every === 0) process.stderr.write(progressLine(soFar, of))
    })
    if (process.stderr.isTTY) process.stderr.write("\n")
    const file = failures.length === 0 ? undefined : keep(tally, failures)
    process.stdout.write(json ? `${JSON.stringify({ ...tally, failed: failures.length, file })}\n` : summary(tally))
    if (file === undefined) return
    process.stderr.write(explanation(tally, failures, file))
    process.exitCode = 1
  })
).pipe(
  Command.withDescription(
    "Ends real gateways at seeded moments while people talk, and checks that nothing is lost, doubled or out of order"
  )
)

NodeRuntime.runMain(
  Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer)),
  { teardown: (exit, onExit) => onExit(exit._tag === "Failure" ? 1 : Number(process.exitCode ?? 0)) }
)
