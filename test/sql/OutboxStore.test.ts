import { suite } from "../contract/OutboxStoreContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("OutboxStore on SQLite", stores)
