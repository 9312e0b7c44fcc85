/**
 * Writes the results of the last full run into the pages that show them: between `<!-- bench:NAME -->` and
 * `<!-- /bench:NAME -->`, with `short`, `table`, `goals` or `losses` as the name. `--check` only says whether they are as they should be.
 *
 *     npm run bench:publish
 */
import { readFileSync, writeFileSync } from "node:fs"
import process from "node:process"
import { goalsAsMarkdown } from "./goals.ts"
import { lossesAsMarkdown } from "./losses.ts"
import type { Results } from "./Measured.ts"
import { asMarkdown, shortTable } from "./table.ts"

const root = new URL("../..", import.meta.url)
const pages = ["README.md", "docs/measurements.md"]

/** The page with its marked sections written anew. */
export const published = (page: string, results: Results): string => {
  const sections: Readonly<Record<string, (results: Results) => string>> = {
    short: shortTable,
    table: asMarkdown,
    goals: goalsAsMarkdown,
    losses: lossesAsMarkdown
  }
  return page.replaceAll(
    /(<!-- bench:(\w+) -->\n)[\s\S]*?(<!-- \/bench:\2 -->)/g,
    (whole, begin: string, name: string, end: string) => {
      const section = sections[name]
      return section === undefined ? whole : `${begin}\n${section(results)}\n\n${end}`
    }
  )
}

if (import.meta.main) {
  const results = JSON.parse(readFileSync(new URL("bench/results/latest.json", root), "utf8")) as Results
  for (const page of pages) {
    const file = new URL(page, root)
    const before = readFileSync(file, "utf8")
    const after = published(before, results)
    if (after === before) continue
    if (process.argv.includes("--check")) {
      console.error(`${page} does not show the last results: npm run bench:publish`)
      process.exitCode = 1
    } else {
      writeFileSync(file, after)
      console.log(`${page} is written anew`)
    }
  }
}
