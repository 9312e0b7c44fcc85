/**
 * How long the end may take once the first signal is there (ms). `bin.ts` keeps it with a timer of its own; the
 * commands set it when they have read their settings. Imports nothing, so that `bin.ts` can have it at once.
 */
export const patience = { ms: 25_000 }
