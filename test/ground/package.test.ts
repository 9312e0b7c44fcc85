/**
 * What a user installs: the tarball holds what it should and no more, loads under its own name, has its types, and
 * brings the patched driver, but no second `effect`.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { publint } from "publint"
import { isNodeNewEnough, neededNode } from "../../src/cli/nodeVersion.ts"
import { startLocalSlack } from "../../src/testing/index.ts"

const root = process.cwd()
const read = (path: string) => JSON.parse(readFileSync(path, "utf8"))
const manifest: {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly exports: Record<string, string | Record<string, string>>
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly bundleDependencies: ReadonlyArray<string>
} = read("package.json")

/** A Node of this machine that is too old for us, where there is one. */
const oldNode = (process.env["PATH"] ?? "").split(":").map((folder) => join(folder, "node")).find((path) => {
  const { stdout } = spawnSync(path, ["-p", "process.versions.node"], { encoding: "utf8" })
  return stdout !== null && /^\d+\./.test(stdout) && !isNodeNewEnough(stdout.trim())
})

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    shell: process.platform === "win32"
  })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return stdout
}

const link = (folder: string, name: string): void => {
  mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true })
  symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name), "junction")
}

/** Builds and packs a copy of the repository, and unpacks it as npm would in a project of somebody else. */
const install = (folder: string) => {
  const [maker, user] = [join(folder, "maker"), join(folder, "user")]
  for (
    const name of [
      "package.json",
      "tsconfig.json",
      "tsconfig.build.json",
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "scripts",
      "src"
    ]
  ) {
    if (existsSync(name)) cpSync(name, join(maker, name), { recursive: true })
  }
  const bundled = manifest.bundleDependencies
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (!bundled.includes(name)) link(maker, name)
  }
  for (const name of bundled) cpSync(join("node_modules", name), join(maker, "node_modules", name), { recursive: true })
  run(maker, process.execPath, "scripts/build.mjs")
  run(maker, "npm", "pack", "--ignore-scripts")

  const home = join(user, "node_modules/slackwater")
  mkdirSync(home, { recursive: true })
  run(
    folder,
    "tar",
    "-xzf",
    `maker/slackwater-${manifest.version}.tgz`,
    "-C",
    "user/node_modules/slackwater",
    "--strip-components=1"
  )
  for (const name of Object.keys(manifest.dependencies)) if (!bundled.includes(name)) link(user, name)
  writeFileSync(join(user, "package.json"), `{ "type": "module" }`)
  return { user, home, files: globSync("**/*.*", { cwd: home }).map((path) => path.replaceAll("\\", "/")) }
}

/** Resolves with the first match in what the process prints. */
const printed = (child: ChildProcess, pattern: RegExp) =>
  new Promise<string>((resolve, reject) => {
    let text = ""
    const read = (chunk: Buffer) => {
      text += chunk.toString()
      const found = pattern.exec(text)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout?.on("data", read)
    child.stderr?.on("data", read)
    child.once("exit", (code) => reject(new Error(`ended with ${code} and never printed ${pattern.source}:\n${text}`)))
  })

const entries = Object.keys(manifest.exports).filter((path) => path !== "./package.json")

describe("package.json", () => {
  it("asks for exact versions only", () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    assert.deepStrictEqual(loose, [])
  })

  it("asks for the Node that the command asks for", () => {
    assert.strictEqual(manifest.engines.node, `>=${neededNode}`)
    assert.deepStrictEqual(
      ["20.20.2", "23.11.1", "24.0.0", "24.0.0-nightly", "24.21.0", "25.0.0", "v8"].map(isNodeNewEnough),
      [false, false, true, true, true, true, false]
    )
  })

  it.skipIf(process.env["npm_lifecycle_event"] === undefined)(
    "runs its scripts with the Node it names",
    () => assert.strictEqual(process.versions.node, manifest.devDependencies["node"])
  )
})

describe("the tarball", () => {
  const folder = mkdtempSync(join(tmpdir(), "slackwater-package-"))
  let installed: ReturnType<typeof install>

  beforeAll(() => {
    installed = install(folder)
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("holds the built files, the licence and the bundled driver, and nothing else", () => {
    const allowed =
      /^(dist\/|node_modules\/@effect\/sql-sqlite-node\/|(package\.json|README\.md|CHANGELOG\.md|LICENSE)$)/
    assert.deepStrictEqual(installed.files.filter((path) => !allowed.test(path)), [])
    assert.deepStrictEqual(installed.files.filter((path) => /^dist\/.*(\.map|(?<!\.d)\.ts)$/.test(path)), [])
    assert.include(installed.files, "dist/index.d.ts")
    for (const name of ["index.html", "main.mjs", "style.css"]) {
      assert.include(installed.files, `dist/dashboard/${name}`)
    }
    assert.deepStrictEqual(installed.files.filter((path) => path.endsWith("tsconfig.json")), [])
  })

  it("names no source map", () => {
    const naming = installed.files
      .filter((path) => /^dist\/.*\.js$/.test(path))
      .filter((path) => readFileSync(join(installed.home, path), "utf8").includes("sourceMappingURL"))
    assert.deepStrictEqual(naming, [])
  })

  it("has nothing that publint would warn of", async () => {
    const tarball = readFileSync(join(folder, "maker", `slackwater-${manifest.version}.tgz`))
    const { messages } = await publint({
      pack: { tarball: new Uint8Array(tarball).buffer },
      level: "warning",
      strict: true
    })
    assert.deepStrictEqual(messages, [])
  })

  it("brings the patched driver", () => {
    const driver = readFileSync(
      join(installed.home, "node_modules/@effect/sql-sqlite-node/dist/SqliteClient.js"),
      "utf8"
    )
    assert.include(driver, "makeSqliteAcquirers")
  })

  it("loads under its own name", () => {
    for (const entry of entries) {
      run(installed.user, process.execPath, "--input-type=module", "-e", `await import("${join("slackwater", entry)}")`)
    }
    assert.strictEqual(read(join(installed.home, "package.json")).version, manifest.version)
  })

  it("starts as a command", () => {
    assert.include(
      run(installed.user, process.execPath, "node_modules/slackwater/dist/bin.js", "--version"),
      manifest.version
    )
  })

  describe("the command", () => {
    const shared =
      "import { Handler } from \"slackwater\"\nexport default Handler.make((turn) => turn.reply(`You said: ${turn.text}`))\n"
    const kinds: ReadonlyArray<
      readonly [what: string, files: Record<string, string>, bundle: boolean, modules: boolean]
    > = [
      [
        "runs as a few files for a handler without Effect, whose types it may name",
        {
          "handler.ts":
            "import type { Turn } from \"slackwater\"\nexport default async (turn: Turn) => `You said: ${turn.text}`\n"
        },
        true,
        false
      ],
      ["runs as the modules that a handler imports, and no second copy of them", { "handler.ts": shared }, false, true],
      [
        "hands over to the modules where only a module behind the handler imports them, and runs no module of it twice",
        {
          "handler.ts": "console.log(\"evaluated\")\nexport { default } from \"./behind.ts\"\n",
          "behind.ts": shared
        },
        true,
        true
      ]
    ]
    for (const [what, files, bundle, modules] of kinds) {
      it(`a handler: ${what}`, async () => {
        const bot = mkdtempSync(join(installed.user, "bot-"))
        for (const [name, text] of Object.entries(files)) writeFileSync(join(bot, name), text)
        const list = join(bot, "loaded.txt")
        const recorder = join(root, "test/fixtures/loadedModules.ts")
        await using slack = await startLocalSlack()
        const said = { channel: "D0ALICE", user: "U0ALICE", text: "hello" }
        await slack.say(said)
        const child = spawn(
          process.execPath,
          ["--import", recorder, join(installed.home, "dist/bin.js"), "run", join(bot, "handler.ts")],
          {
            cwd: bot,
            env: {
              PATH: process.env["PATH"],
              LOADED_MODULES: list,
              SLACK_APP_TOKEN: "xapp-1",
              SLACK_BOT_TOKEN: "xoxb-1",
              SLACK_API_URL: slack.apiUrl,
              SLACKWATER_PORT: "0",
              SLACKWATER_DEBOUNCE: "0 millis"
            }
          }
        )
        try {
          let stdout = ""
          child.stdout.on("data", (text: Buffer) => stdout += text.toString())
          await printed(child, /"(connected to Slack)"/)
          assert.deepStrictEqual(await slack.replies("D0ALICE"), ["You said: hello"])
          const ended = new Promise((resolve) => child.once("close", resolve))
          child.kill("SIGTERM")
          assert.strictEqual(await ended, 0)
          assert.strictEqual(stdout, files["behind.ts"] === undefined ? "" : "evaluated\n")
          const loaded = readFileSync(list, "utf8")
          assert.deepStrictEqual(
            [
              /\/dist\/bundled\//.test(loaded),
              /\/slackwater\/dist\/Handler\.js$/m.test(loaded),
              /\/effect\/dist\/Effect\.js$/m.test(loaded)
            ],
            [bundle, modules, modules]
          )
        } finally {
          child.kill("SIGKILL")
        }
      }, 60_000)
    }
  })

  it.skipIf(oldNode === undefined)("says in one line that a Node is too old, with 78", () => {
    for (const args of [["--version"], ["run", "handler.ts"], ["healthcheck"]]) {
      const bin = join(installed.user, "node_modules/slackwater/dist/bin.js")
      const { status, stderr, stdout } = spawnSync(oldNode ?? "", [bin, ...args], { encoding: "utf8" })
      assert.deepStrictEqual([status, stdout], [78, ""])
      assert.match(stderr, /^slackwater: Slackwater needs Node 24\.0\.0 or later, and this is \d+\.\d+\.\d+ .*\n$/)
    }
  })

  it("has its types, for a user who checks libraries too", () => {
    const names = entries.map((entry) => join("slackwater", entry))
    writeFileSync(
      join(installed.user, "user.ts"),
      names.map((name, n) => `import * as M${n} from "${name}"\nexport const m${n}: object = M${n}\n`).join("")
    )
    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--types", "node"]
    link(installed.user, "@types/node")
    run(installed.user, process.execPath, join(root, "node_modules/typescript/bin/tsc"), ...flags, "user.ts")
  })

  it("answers with the README's example where npm installed it", async ({ skip }) => {
    const project = join(folder, "project")
    mkdirSync(project)
    writeFileSync(join(project, "package.json"), `{ "type": "module", "private": true }`)
    const tarball = join(folder, "maker", `slackwater-${manifest.version}.tgz`)
    const npm = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball], {
      cwd: project,
      encoding: "utf8",
      env: { ...process.env, npm_config_fetch_retries: "1" }
    })
    if (/ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT/.test(npm.stderr)) skip("no registry answers")
    assert.strictEqual(npm.status, 0, npm.stderr)
    const example = /```ts\n\/\/ examples\/echo\.ts\n([\s\S]*?)```/.exec(readFileSync("README.md", "utf8"))?.[1]
    writeFileSync(join(project, "bot.ts"), example ?? "")

    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--types", "node"]
    run(project, process.execPath, join(root, "node_modules/typescript/bin/tsc"), ...flags, "bot.ts")

    const dev = spawn(process.execPath, ["node_modules/slackwater/dist/bin.js", "dev", "bot.ts"], {
      cwd: project,
      env: { ...process.env, SLACKWATER_PORT: "0", SLACKWATER_LOCAL_SLACK_PORT: "0" }
    })
    try {
      const url = await printed(dev, /Chat: +(http:\S+)/)
      const said = { channel: "D0ALICE", user: "U0ALICE", text: "from the tarball" }
      const headers = { "content-type": "application/json" }
      await fetch(`${url}_local/messages`, { method: "POST", headers, body: JSON.stringify(said) })
      const deadline = Date.now() + 20_000
      let texts: ReadonlyArray<string> = []
      while (!texts.includes("You said: from the tarball") && Date.now() < deadline) {
        const { messages } = await (await fetch(`${url}_local/messages?channel=D0ALICE`)).json() as {
          readonly messages: ReadonlyArray<{ readonly text: string }>
        }
        texts = messages.map((message) => message.text)
      }
      assert.deepStrictEqual(texts, ["from the tarball", "You said: from the tarball"])
      const ended = new Promise((resolve) => dev.once("exit", resolve))
      dev.kill("SIGTERM")
      assert.strictEqual(await ended, 0)
    } finally {
      dev.kill("SIGKILL")
    }
  }, 180_000)
})
