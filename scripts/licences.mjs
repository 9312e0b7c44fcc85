/**
 * Writes docs/licences.md: every package that an installed `slackwater` brings along, from the lock file. What a dependency
 * wants beside itself (a peer) is among it: npm installs that, too.
 */
import { readFileSync, writeFileSync } from "node:fs"

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"))
const brought = Object.entries(packages)
  .filter(([path, { dev }]) => path !== "" && dev !== true)
  .map(([path, { license, optional, peer, version }]) => ({
    name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
    version,
    license: license ?? JSON.parse(readFileSync(`${path}/package.json`, "utf8")).license ?? "unknown",
    why: optional === true ? " (optional)" : peer === true ? " (peer)" : ""
  }))
  .toSorted((a, b) => a.name.localeCompare(b.name, "en"))
const names = new Map(brought.map((one) => [`${one.name}@${one.version}`, one]))

const page = `# Licences

What an installed \`slackwater\` brings along: ${names.size} packages (\`npm run licences\` writes this page from the lock
file; \`npm run sbom\` prints the same as CycloneDX). Slackwater itself is MIT. What is marked as peer, npm
installs for \`@effect/platform-node\`; nothing of ours loads it.

| package | version | licence |
|---|---|---|
${
  [...names.values()].map(({ license, name, version, why }) => `| ${name} | ${version} | ${license}${why} |`).join("\n")
}
`
if (process.argv.includes("--check")) {
  if (readFileSync("docs/licences.md", "utf8") === page) process.exit(0)
  console.error("docs/licences.md is not what package-lock.json says: npm run licences")
  process.exit(1)
}
writeFileSync("docs/licences.md", page)
