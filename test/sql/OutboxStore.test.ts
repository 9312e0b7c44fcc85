import { suite } from "../contract/OutboxStoreContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("SQLite", stores)
