import { suite } from "../contract/OutboxStoreContract.ts"
import { stores } from "../fixtures/memory.ts"

suite("memory", stores)
