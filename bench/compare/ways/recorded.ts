/** What `node:sqlite` is asked while something runs: texts and their values. */
import { StatementSync } from "node:sqlite"

export interface Asked {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

const executions = ["all", "get", "run"] as const

/** All in this process; for a moment when nothing else runs. */
export const recorded = async (body: () => Promise<unknown>): Promise<ReadonlyArray<Asked>> => {
  const asked: Array<Asked> = []
  const before = executions.map((name) => [name, StatementSync.prototype[name]] as const)
  for (const [name, execute] of before) {
    Reflect.set(StatementSync.prototype, name, function(this: StatementSync, ...values: ReadonlyArray<unknown>) {
      asked.push({ text: this.sourceSQL, values })
      return Reflect.apply(execute, this, values)
    })
  }
  try {
    await body()
  } finally {
    for (const [name, execute] of before) Reflect.set(StatementSync.prototype, name, execute)
  }
  return asked
}
