import { suite } from "../contract/MessageStoreContract.ts"
import { stores } from "../fixtures/memory.ts"

suite("memory", stores)
