/** Slack's limits as LocalSlack holds them. */
import { assert, describe, it } from "@effect/vitest"
import { RateLimiter } from "../../src/testing/index.ts"

const now = 1_700_000_000_000
const post = "chat.postMessage"

/** How many of these calls are taken, one in each channel. */
const taken = (limiter: RateLimiter, method: string, calls: number, at: number) =>
  Array.from({ length: calls }, (_, n) => limiter.refuse(method, `C${n}`, at)).filter((wait) => wait === undefined)
    .length

describe("RateLimiter", () => {
  it("takes a tier's calls of any minute, over all channels", () => {
    const limiter = new RateLimiter()
    assert.strictEqual(taken(limiter, "chat.update", 30, now), 30)
    assert.strictEqual(taken(limiter, "chat.update", 30, now + 30_000), 20)
    assert.strictEqual(limiter.refuse("chat.update", "C1", now + 40_000), 20_000)
    assert.strictEqual(taken(limiter, "chat.update", 99, now + 60_000), 30)
    assert.strictEqual(taken(limiter, "chat.update", 99, now + 90_000), 20)
  })

  it("limits each method on its own, and one that it does not know not at all", () => {
    const limiter = new RateLimiter()
    assert.strictEqual(taken(limiter, "chat.startStream", 99, now), 20)
    assert.strictEqual(taken(limiter, "reactions.add", 99, now), 50)
    assert.strictEqual(taken(limiter, "files.getUploadURLExternal", 200, now), 100)
    assert.strictEqual(taken(limiter, "auth.test", 999, now), 999)
  })

  it("takes some hundred posts a minute in all", () => {
    const limiter = new RateLimiter()
    assert.strictEqual(taken(limiter, post, 999, now), 300)
    assert.strictEqual(limiter.refuse(post, "C1000", now + 1), 59_999)
    assert.strictEqual(taken(limiter, post, 999, now + 60_000), 300)
  })

  it("takes one post a second and channel after a burst, and does not count what it refused", () => {
    const limiter = new RateLimiter()
    const inOne = (tries: number, at: number) =>
      Array.from({ length: tries }, () => limiter.refuse(post, "C1", at)).filter((wait) => wait === undefined).length
    assert.strictEqual(inOne(400, now), 5)
    assert.strictEqual(limiter.refuse(post, "C1", now + 400), 600)
    assert.strictEqual(inOne(9, now + 1_000), 1)
    assert.strictEqual(inOne(9, now + 3_000), 2)
    assert.isUndefined(limiter.refuse(post, "C2", now))
  })

  it("lets time pass faster", () => {
    const limiter = new RateLimiter()
    for (let burst = 0; burst < 5; burst++) assert.isUndefined(limiter.refuse(post, "C1", now, 20))
    assert.strictEqual(limiter.refuse(post, "C1", now, 20), 50)
    assert.isUndefined(limiter.refuse(post, "C1", now + 50, 20))
  })
})
