import { Layer } from "effect"
import * as MemoryWorkspace from "../../src/memory/Workspace.ts"
import { suite } from "../contract/WorkspaceContract.ts"
import { stores } from "../fixtures/memory.ts"

suite("memory", MemoryWorkspace.layer.pipe(Layer.provideMerge(stores)))
