/**
 * `npm run simulate -- --seeds 10000 [--from N] [--minutes M]`: many histories in virtual time.
 *
 * Where one goes wrong it prints its seed, what is left of it once everything is left out that can be, and the command
 * that runs just this history again. Exit code 1 then.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import process from "node:process"
import { campaign } from "./Campaign.ts"
import { newRoot } from "./Disk.ts"
import { simulate } from "./History.ts"
import { progressLine, retold, summary } from "./report.ts"
import { numbersIn, shrink } from "./Shrink.ts"

/** A line of progress after so many seeds where nobody watches a terminal. */
const every = 500
const shrinkFor = 60_000

const command = Command.make(
  "simulate",
  {
    seeds: Flag.Int("seeds").pipe(Flag.withDescription("Histories to run"), Flag.withDefault(500)),
    from: Flag.Int("from").pipe(Flag.withDescription("The first seed"), Flag.withDefault(1)),
    minutes: Flag.optional(Flag.Finite("minutes").pipe(Flag.withDescription("Ends after this time"))),
    threads: Flag.optional(Flag.Int("threads").pipe(Flag.withDescription("Default: one per core"))),
    keepGoing: Flag.Boolean("keep-going").pipe(
      Flag.withDescription("Runs all seeds and lists those that fail"),
      Flag.withDefault(false)
    ),
    twice: Flag.Boolean("twice").pipe(
      Flag.withDescription("Runs each seed twice: it must be the same history"),
      Flag.withDefault(false)
    ),
    seed: Flag.optional(Flag.Int("seed").pipe(Flag.withDescription("Runs this one history and tells it"))),
    withoutFaults: Flag.String("without-faults").pipe(
      Flag.withDescription("With --seed: faults to leave out, like 3,5-9"),
      Flag.withDefault("")
    ),
    withoutDeeds: Flag.String("without-deeds").pipe(
      Flag.withDescription("With --seed: what people do not do"),
      Flag.withDefault("")
    ),
    noShrink: Flag.Boolean("no-shrink").pipe(
      Flag.withDescription("Leaves a failing history as it is"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the outcome as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*(flags) {
    const { from, json, keepGoing, seeds, twice } = flags
    const minutes = Option.getOrUndefined(flags.minutes)
    const threads = Option.getOrUndefined(flags.threads)
    const seed = Option.getOrUndefined(flags.seed)
    if (seed !== undefined) {
      const omitted = { faults: numbersIn(flags.withoutFaults), deeds: numbersIn(flags.withoutDeeds) }
      const outcome = simulate(seed, newRoot(), { omitted, keeps: true })
      process.stdout.write(
        json ? `${JSON.stringify({ ...outcome, coverage: [...outcome.coverage] })}\n` : retold(outcome)
      )
      if (outcome.violation !== undefined) process.exitCode = 1
      return
    }
    const tally = yield* Effect.promise(() =>
      campaign({ from, seeds, minutes, threads, keepGoing, twice }, (soFar) => {
        if (json) return
        if (process.stderr.isTTY) process.stderr.write(`\r${progressLine(soFar, seeds)}`)
        else if (soFar.seeds % every === 0) process.stderr.write(`${progressLine(soFar, seeds)}\n`)
      })
    )
    if (process.stderr.isTTY && !json) process.stderr.write("\n")
    const [first] = tally.failures
    const shrunk = first === undefined || flags.noShrink ? undefined : shrink(first.seed, newRoot(), shrinkFor)
    process.stdout.write(summary(tally, shrunk, json))
    if (first !== undefined) process.exitCode = 1
  })
).pipe(
  Command.withDescription("Runs the real rooms and stores through seeded histories in virtual time, and checks each")
)

NodeRuntime.runMain(
  Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer)),
  { teardown: (exit, onExit) => onExit(exit._tag === "Failure" ? 1 : Number(process.exitCode ?? 0)) }
)
