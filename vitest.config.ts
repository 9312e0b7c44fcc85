import { defineConfig } from "vitest/config"

/** Suites that start processes or a browser: slower each, and run after the rest so that they have the machine. */
const processes = [
  "test/cli/**/*.test.ts",
  "test/crash/**/*.test.ts",
  "test/cluster/**/*.test.ts",
  "test/browser/**/*.test.ts",
  // Threads of its own, one per core.
  "test/simulation/**/*.test.ts",
  // What the pages show of testing a bot is run, too.
  "examples/*.test.ts"
]

/** What a handler imports is this checkout, as in `tsconfig.json`. */
const alias = {
  "slackwater/promise": new URL("./src/promise/index.ts", import.meta.url).pathname,
  "slackwater/sqlite": new URL("./src/sql/host.ts", import.meta.url).pathname,
  "slackwater/testing": new URL("./src/testing/index.ts", import.meta.url).pathname,
  "slackwater": new URL("./src/index.ts", import.meta.url).pathname
}

export default defineConfig({
  resolve: { alias },
  test: {
    pool: "forks",
    maxWorkers: 2,
    // What a passing test logs says nothing to anybody.
    silent: "passed-only",
    reporters: ["default", "./scripts/reporter.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: processes,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 }
        }
      },
      {
        extends: true,
        test: {
          name: "process",
          include: processes,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 }
        }
      }
    ]
  }
})
