/** Why the database could not be opened: one sentence that says what to do, and the exit code that goes with it. */
import { Runtime, Schema } from "effect"
import { innermost } from "./transaction.ts"

/** Another gateway holds this data directory (exit 73). */
export class Owned extends Schema.TaggedError<Owned>()("Owned", { path: Schema.String, owner: Schema.String }) {}
/** The directory or file cannot be made, opened or written (exit 74). */
export class Unusable
  extends Schema.TaggedError<Unusable>()("Unusable", { path: Schema.String, detail: Schema.String })
{}
/** The file is something else (exit 74). */
export class NotSqlite extends Schema.TaggedError<NotSqlite>()("NotSqlite", { path: Schema.String }) {}
/** A newer release has been here (exit 74). */
export class NewerSchema extends Schema.TaggedError<NewerSchema>()("NewerSchema", {
  path: Schema.String,
  found: Schema.Int,
  known: Schema.Int
}) {}
/** Not at this release's schema yet; its owner changes that, if it has one (exit 74). */
export class OlderSchema extends Schema.TaggedError<OlderSchema>()("OlderSchema", {
  path: Schema.String,
  found: Schema.Int,
  known: Schema.Int,
  owner: Schema.NullOr(Schema.String)
}) {}
/** A gateway owns the directory, and its rows are in another file, the host's (exit 74). */
export class Elsewhere
  extends Schema.TaggedError<Elsewhere>()("Elsewhere", { path: Schema.String, owner: Schema.String })
{}
/** There is none, and the command has nothing to do without one (exit 74). */
export class Missing extends Schema.TaggedError<Missing>()("Missing", { path: Schema.String }) {}
/** The client that the host gave us is not one we can keep our promise with (exit 74). */
export class UnfitHost extends Schema.TaggedError<UnfitHost>()("UnfitHost", { detail: Schema.String }) {}

export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  reason: Schema.Union([Owned, Unusable, NotSqlite, NewerSchema, OlderSchema, Elsewhere, Missing, UnfitHost])
}) {
  override readonly [Runtime.errorExitCode] = this.reason._tag === "Owned" ? 73 : 74
  override get message(): string {
    const { reason } = this
    switch (reason._tag) {
      case "Owned":
        return `another gateway owns ${reason.path} (${reason.owner}); stop it, or give this one its own SLACKWATER_DATA_DIR and database`
      case "Unusable":
        return `cannot use ${reason.path}: ${reason.detail}; check that the directory can be written, or set SLACKWATER_DATA_DIR`
      case "NotSqlite":
        return `${reason.path} is not an SQLite database; move it away, or set SLACKWATER_DATA_DIR to another directory`
      case "NewerSchema":
        return `${reason.path} was written by a newer release (schema ${reason.found}, this one knows ${reason.known}); install that release again`
      case "OlderSchema":
        return `${reason.path} is not at this release's schema yet (${reason.found}, not ${reason.known}); ${
          reason.owner === null
            ? "start a gateway of this release on it first"
            : `a gateway owns it (${reason.owner}): wait until that has started, or start it again with this release`
        }`
      case "Elsewhere":
        return `${reason.path} is not there, and a gateway owns the directory (${reason.owner}): it keeps its rows in its host's database, so let the host enqueue them`
      case "Missing":
        return `${reason.path} is not there; set SLACKWATER_DATA_DIR to the data directory of the gateway`
      case "UnfitHost":
        return `cannot use the host's database: ${reason.detail}`
    }
  }
}

/** What the database or the file system said, as the reason why there is no database. */
export const unusable = (path: string, error: unknown) => {
  const said = innermost(error)
  // SQLITE_NOTADB: it began like a database and is none.
  if (said instanceof Error && Reflect.get(said, "errcode") === 26) {
    return new DatabaseError({ reason: new NotSqlite({ path }) })
  }
  return new DatabaseError({
    reason: new Unusable({ path, detail: said instanceof Error ? said.message : String(said) })
  })
}
