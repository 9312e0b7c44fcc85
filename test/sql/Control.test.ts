import { suite } from "../contract/ControlContract.ts"
import { stores } from "../fixtures/stores.ts"

suite("SQLite", stores)
