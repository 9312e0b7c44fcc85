/** `slackwater forget`: the bytes are gone from the files, beside a running gateway and without one. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ForgetReport } from "../../src/cli/forget.ts"
import { LocalSlack } from "../../src/testing/index.ts"
import { commandJson } from "./answered.ts"
import { awaitReplies, type Gateway, gateway } from "./gateway.ts"
import { dataIn, execute, seed } from "./outboxSeed.ts"
import { contents, directory, echo, eventually, fixture, outcome } from "./process.ts"

const withSlack = Effect.provide(LocalSlack.layer())
const forget = commandJson(ForgetReport)

/** Files of the data directory in which one of the words is. Read by this process, which owns none of them. */
const findings = (cwd: string, ...words: ReadonlyArray<string>) =>
  Object.entries(contents(dataIn(cwd))).filter(([, base64]) => {
    const bytes = Buffer.from(base64, "base64")
    return words.some((word) => bytes.includes(word))
  }).map(([name]) => name)

/** So many replies are delivered, and have come back as events, which are ignored: nothing more is on its way. */
const settled = ({ running, status }: Gateway, count: number, heard = count) =>
  eventually(
    `${count} delivered and heard`,
    status,
    (now) => now?.outbox.delivered === count && now.inbox.ignored === heard,
    running
  )

it.live("a person, beside a gateway: no file has their words, their id or their conversation, and the gateway goes on", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo)
    const { cwd, running, say, slack } = started
    for (let n = 1; n <= 3; n++) {
      yield* say(`marzipan-${n}`)
      yield* awaitReplies(started, n)
    }
    yield* slack.say({ channel: "C0GENERAL", user: "U0BOB", text: "<@U0BOT> nougat" })
    yield* settled(started, 4)
    assert.isNotEmpty(findings(cwd, "marzipan"))
    const dry = yield* forget(cwd, ["forget", "--user", "U0ALICE", "--dry-run"])
    assert.deepStrictEqual([dry.messages, dry.replies, dry.walEmptied], [6, 3, null])
    assert.isNotEmpty(findings(cwd, "marzipan"), "--dry-run changes nothing")

    const report = yield* forget(cwd, ["forget", "--user", "U0ALICE", "--yes"])
    assert.deepStrictEqual(report, { ...dry, dryRun: false, walEmptied: true })
    assert.deepStrictEqual(findings(cwd, "marzipan", "U0ALICE", "D0ALICE"), [])
    assert.isNotEmpty(findings(cwd, "nougat"), "what others said stays")

    yield* say("again")
    assert.strictEqual((yield* awaitReplies(started, 4)).at(-1), "You said: again")
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null })
    assert.deepStrictEqual(findings(cwd, "marzipan"), [])
  }).pipe(withSlack))

it.live("what belongs to a turn that runs is left and named; the same command finishes when it has ended", () =>
  Effect.gen(function*() {
    const gate = join(yield* directory, "gate")
    const started = yield* gateway(fixture("gated"), { GATE: gate })
    const { cwd, say } = started
    yield* say("marzipan")
    yield* awaitReplies(started, 1)
    yield* settled(started, 1)
    const during = yield* forget(cwd, ["forget", "--channel", "D0ALICE", "--yes"], 1)
    assert.strictEqual(during.left.turns.length, 1)
    const ended = yield* outcome(["forget", "--channel", "D0ALICE", "--yes"], { cwd })
    assert.match(
      ended.stderr,
      /a turn has not ended \(turn_\w+\).*repeat the command when it has ended.*slackwater cancel/
    )
    writeFileSync(gate, "")
    assert.deepStrictEqual(yield* awaitReplies(started, 2), ["one moment", "here it is: marzipan"])
    // The first one was forgotten.
    yield* settled(started, 2, 1)
    const after = yield* forget(cwd, ["forget", "--channel", "D0ALICE", "--yes"])
    assert.deepStrictEqual([after.messages, after.replies, after.left.turns], [2, 2, []])
    assert.deepStrictEqual(findings(cwd, "marzipan", "D0ALICE"), [])
  }).pipe(withSlack))

it.live("without a gateway: what waits to be sent goes too, with its file in the spool", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* seed(cwd, [{ text: "marzipan", channel: "C0123ABCD", state: "failed_terminal", error: "Permanent" }, {
      text: "nougat",
      channel: "C0OTHER"
    }])
    const upload = JSON.stringify({ _tag: "Upload", spool: "abc.def", filename: "marzipan.txt", bytes: 8 })
    execute(
      cwd,
      `INSERT INTO slackwater_outbox (key, lane, channel, kind, dispatch, state, due_at, enqueued_at, lives_from)
       VALUES ('upload', 'C0123ABCD', 'C0123ABCD', 'Upload', '${upload}', 'queued', 0, 0, 0)`
    )
    mkdirSync(join(dataIn(cwd), "spool"))
    const file = join(dataIn(cwd), "spool", "abc.def")
    writeFileSync(file, "marzipan")
    const { files, replies, walEmptied } = yield* forget(cwd, ["forget", "--channel", "C0123ABCD", "--yes"])
    assert.deepStrictEqual({ files, replies, walEmptied }, { files: 1, replies: 2, walEmptied: true })
    assert.isFalse(existsSync(file))
    assert.deepStrictEqual(findings(cwd, "marzipan", "C0123ABCD"), [])
    const again = yield* outcome(["forget", "--channel", "C0123ABCD", "--yes"], { cwd })
    assert.match(again.stdout, /^C0123ABCD: forgotten: 0 messages, 0 replies/)
  }))

it.live("nobody is forgotten by accident", () =>
  Effect.gen(function*() {
    const cwd = yield* directory
    yield* seed(cwd, [{ text: "marzipan", channel: "C0123ABCD" }])
    const refusals = [
      [[], /give either --user or --channel/],
      [["--user", "U0ALICE", "--channel", "C0123ABCD"], /give either/],
      [["--user", "C0123ABCD"], /must be the id of a person like U0123ABCD/],
      [["--channel", "general"], /must be an id like C0123ABCD/],
      [["--channel", "C0123ABCD"], /no terminal, so nobody can be asked: look with --dry-run, then add --yes/]
    ] as const
    for (const [args, says] of refusals) {
      const { code, stderr } = yield* outcome(["forget", ...args], { cwd })
      assert.strictEqual(code, 64)
      assert.match(stderr, says)
    }
    assert.isNotEmpty(findings(cwd, "marzipan"))
    const nowhere = yield* outcome(["forget", "--user", "U0ALICE", "--yes"], {})
    assert.strictEqual(nowhere.code, 74)
  }))

it.live("with SLACKWATER_BLANK_PAYLOADS no file has what was said once it is done and delivered", () =>
  Effect.gen(function*() {
    const started = yield* gateway(echo, { SLACKWATER_BLANK_PAYLOADS: "true" })
    const { cwd, running, say } = started
    yield* say("marzipan")
    assert.deepStrictEqual(yield* awaitReplies(started, 1), ["You said: marzipan"])
    yield* settled(started, 1)
    yield* running.signal("SIGTERM")
    assert.deepStrictEqual(yield* running.ended, { code: 0, signal: null })
    assert.deepStrictEqual(findings(cwd, "marzipan"), [])
    assert.isNotEmpty(findings(cwd, "D0ALICE"), "ids stay")
  }).pipe(withSlack))
