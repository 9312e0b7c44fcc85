import { Layer } from "effect"
import * as SqlWorkspace from "../../src/sql/Workspace.ts"
import { suite } from "../contract/WorkspaceContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("SQLite", SqlWorkspace.layer.pipe(Layer.provideMerge(stores)))
