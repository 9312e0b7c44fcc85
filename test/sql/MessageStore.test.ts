import { suite } from "../contract/MessageStoreContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("MessageStore on SQLite", stores)
