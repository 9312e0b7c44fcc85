import { suite } from "../contract/ControlContract.ts"
import { stores } from "../fixtures/memory.ts"

suite("memory", stores)
