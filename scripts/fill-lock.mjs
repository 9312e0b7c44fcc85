/**
 * Makes the lock file whole for every platform.
 *
 * Tools such as dprint ship one optional package per operating system and processor. npm writes an entry for each of
 * them, except when the registry it asked did not have one: that entry is left out in silence, and `npm ci` later
 * refuses ("Missing: … from lock file"). This adds what is missing, with the version its parent asks for and the
 * platform its name tells, and takes out download addresses, so that the lock belongs to no particular registry.
 *
 * An added entry has no integrity hash: npm checks such a package only on the platforms that install it, by version.
 * Run it after every `npm install`; running it twice changes nothing. `--check` only reports, and fails if work is left.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { pathToFileURL } from "node:url"

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"]

/**
 * `os`, `cpu` and `libc` as its maker would have written them, read from the words of a package's name.
 *
 * The C library is only told apart where a sibling for the other one may exist (`-gnu`, `-glibc`, `-musl`); the old
 * 32-bit ARM names (`-gnueabihf`) say nothing about it, as their makers do.
 */
export const platformOf = (name) => {
  if (name === "fsevents") return { os: ["darwin"] }
  const words = name.split("/").at(-1).split("-")
  const os = words.find((word) => systems.includes(word))
  const cpu = words.find((word) => processors.includes(word))
  const libc = words.includes("musl") ? "musl" : words.includes("gnu") || words.includes("glibc") ? "glibc" : undefined
  return {
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(libc === undefined ? {} : { libc: [libc] }),
    ...(os === undefined ? {} : { os: [os] })
  }
}

/** Where npm finds `name` from inside the package at `from`: the nearest `node_modules` that has it, going up. */
const resolveIn = (packages, from, name) => {
  for (let at = from;; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    const candidate = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (packages[candidate] !== undefined) return candidate
    if (at === "") return undefined
  }
}

/** Every optional dependency the lock names but does not describe. */
export const missingIn = (packages) =>
  Object.entries(packages).flatMap(([path, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => resolveIn(packages, path, name) === undefined)
      .map(([name, version]) => ({ name, version, parent: entry }))
  )

/** The same object with its keys in npm's order, so that npm and this script never rewrite each other's work. */
const sorted = (object) => Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => a.localeCompare(b, "en")))

/** The lock with every optional package described and no addresses. */
export const fill = (lock) => {
  const packages = structuredClone(lock.packages)
  for (const entry of Object.values(packages)) delete entry.resolved
  for (const { name, version, parent } of missingIn(packages)) {
    if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) {
      throw new Error(`${name}@${version}: not one version, look it up by hand`)
    }
    packages[`node_modules/${name}`] = {
      version,
      ...sorted({
        ...platformOf(name),
        ...(parent.dev === true ? { dev: true } : {}),
        ...(parent.peer === true ? { peer: true } : {}),
        optional: true
      })
    }
  }
  return { ...lock, packages: sorted(packages) }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const before = readFileSync("package-lock.json", "utf8")
  const lock = JSON.parse(before)
  const missing = missingIn(lock.packages)
  const after = `${JSON.stringify(fill(lock), null, 2)}\n`
  if (after === before) {
    console.log("package-lock.json is whole")
  } else if (process.argv.includes("--check")) {
    console.error("package-lock.json is not whole: run node scripts/fill-lock.mjs")
    for (const { name, version } of missing) console.error(`  missing ${name}@${version}`)
    process.exitCode = 1
  } else {
    writeFileSync("package-lock.json", after)
    console.log(`package-lock.json: ${missing.length} optional packages added`)
  }
}
