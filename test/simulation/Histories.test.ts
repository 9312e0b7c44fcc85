/** Five hundred histories, and the same seed twice. More: `npm run simulate`. */
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { campaign } from "./Campaign.ts"
import { newRoot } from "./Disk.ts"
import { simulate } from "./History.ts"
import { mutants } from "./mutants/list.ts"

it("nothing is lost, doubled or out of order in 500 histories", async () => {
  const { failures, seeds } = await campaign({ from: 1, seeds: 500, keepGoing: true })
  assert.deepStrictEqual(failures.map(({ seed, violation }) => ({ seed, violation })), [])
  assert.strictEqual(seeds, 500)
}, 600_000)

it("the same seed is the same history", () => {
  const root = newRoot()
  for (let seed = 1; seed <= 10; seed++) {
    const { digest, steps } = simulate(seed, root)
    const again = simulate(seed, root)
    assert.deepStrictEqual({ seed, digest: again.digest, steps: again.steps }, { seed, digest, steps })
  }
}, 120_000)

it("every planted fault still has its place in the sources", () => {
  for (const { file, find, name } of mutants) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")
    assert.strictEqual(source.split(find).length, 2, name)
  }
})
