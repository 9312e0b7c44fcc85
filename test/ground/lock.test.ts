/**
 * The committed lock file installs on a machine that has nothing, and names no registry.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { platformOf } from "../../scripts/fill-lock.mjs"

interface Entry {
  readonly resolved?: string
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Record<string, string>
}

const lock: { readonly packages: Record<string, Entry> } = JSON.parse(readFileSync("package-lock.json", "utf8"))
const entries = Object.entries(lock.packages)

describe("package-lock.json", () => {
  it("has no download address", () => {
    const addressed = entries.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)
    assert.deepStrictEqual(addressed, [])
  })

  it("describes every optional package it names", () => {
    const missing = entries.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !(`${path}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages))
        .map((name) => `${path} → ${name}`)
    )
    assert.deepStrictEqual(missing, [])
  })

  it("says the platform of a package as the package itself does", () => {
    // Entries with a hash came from a registry with their maker's own words; scripts/fill-lock.mjs must read the same
    // from the name, since that is all it has for the others.
    const guessed = entries.filter(([, { os, cpu }]) => os !== undefined || cpu !== undefined).map(([path, entry]) => {
      const { os, cpu, libc } = entry
      return { path, said: JSON.stringify({ os, cpu, libc }), read: platformOf(path.replace("node_modules/", "")) }
    })
    for (const { path, said, read } of guessed) {
      assert.strictEqual(JSON.stringify({ os: read.os, cpu: read.cpu, libc: read.libc }), said, path)
    }
  })
})

describe("npm ci", () => {
  it("installs from the lock alone, and prepare patches the driver", { timeout: 240_000 }, ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), "slackwater-lock-"))
    // npm tells its scripts about the project it runs in; the npm started here is to find its own.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) =>
        !/^(npm_package_|npm_lifecycle_|npm_config_local_prefix|INIT_CWD)/.test(name)
      )
    )
    const run = (command: string, ...args: ReadonlyArray<string>) =>
      spawnSync(command, args, { cwd: folder, env, encoding: "utf8", shell: process.platform === "win32" })
    try {
      for (const name of ["package.json", "package-lock.json", ".npmrc", "patches", "scripts"]) {
        if (existsSync(name)) cpSync(name, join(folder, name), { recursive: true })
      }
      // Without install scripts: the only one allowed fetches Node's binary, 120 MB and not what is asked here
      // (.ci/run installs with it). `prepare`, which is ours, is run by hand below.
      const install = run("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
      if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b/.test(install.stderr)) {
        skip("no registry can be reached from here")
      }
      assert.strictEqual(install.status, 0, install.stderr)
      for (const _ of ["once", "twice"]) {
        const prepare = run(process.execPath, "scripts/prepare.mjs")
        assert.strictEqual(prepare.status, 0, prepare.stdout + prepare.stderr)
      }
      const driver = readFileSync(join(folder, "node_modules/@effect/sql-sqlite-node/dist/SqliteClient.js"), "utf8")
      assert.include(driver, "makeSqliteAcquirers")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
