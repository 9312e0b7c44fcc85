import { suite } from "../contract/MessageStoreContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("SQLite", stores)
