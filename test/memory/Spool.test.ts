import { layer } from "../../src/memory/Spool.ts"
import { suite } from "../contract/SpoolContract.ts"

suite("memory", layer)
