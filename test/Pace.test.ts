/** The arithmetic of pacing. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Pace } from "../src/Pace.ts"

const now = 1_790_000_000_000

/** How many posts a channel may take at this moment. */
const taken = (pace: Pace, at: number, channel = "C1") => {
  let posts = 0
  while (posts < 100 && pace.take(channel, at)) posts += 1
  return posts
}

describe("Pace", () => {
  it("lets a burst out at once, and then one post per interval", () => {
    const pace = new Pace(1_000, 3)
    assert.strictEqual(taken(pace, now), 3)
    assert.isFalse(pace.take("C1", now + 999))
    assert.isTrue(pace.take("C1", now + 1_000))
    assert.isFalse(pace.take("C1", now + 1_000))
  })

  it("paces each channel on its own", () => {
    const pace = new Pace(1_000, 1)
    assert.isTrue(pace.take("C1", now))
    assert.isTrue(pace.take("C2", now))
    assert.deepStrictEqual(pace.exhausted(now), ["C1", "C2"])
  })

  it("saves up no more than the burst", () => {
    const pace = new Pace(1_000, 3)
    assert.strictEqual(taken(pace, now), 3)
    assert.strictEqual(taken(pace, now + 3_600_000), 3)
  })

  it("knows no limit where the interval is zero, and keeps pauses all the same", () => {
    const pace = new Pace(0, 1)
    assert.strictEqual(taken(pace, now), 100)
    pace.pause("C1", now, now + 50)
    assert.strictEqual(taken(pace, now + 49), 0)
    assert.strictEqual(taken(pace, now + 50), 100)
  })

  it("lets nothing out before the end of a pause, whatever the tokens", () => {
    const pace = new Pace(1_000, 3)
    pace.pause("C1", now, now + 7_000)
    assert.isFalse(pace.take("C1", now + 6_999))
    assert.isTrue(pace.take("C1", now + 7_000))
  })

  it("keeps the longer of two pauses", () => {
    const pace = new Pace(1_000, 3)
    pace.pause("C1", now, now + 7_000)
    pace.pause("C1", now, now + 2_000)
    assert.isFalse(pace.take("C1", now + 6_999))
  })

  it("does not save up tokens twice over a pause", () => {
    const pace = new Pace(1_000, 4)
    assert.strictEqual(taken(pace, now), 4)
    pace.pause("C1", now, now + 2_000)
    assert.deepStrictEqual(pace.exhausted(now), ["C1"])
    assert.strictEqual(taken(pace, now + 2_000), 2)
  })

  it("names the channels that must wait, and the moment at which the first of them is free", () => {
    const pace = new Pace(1_000, 1)
    assert.isNull(pace.nextAt(now))
    pace.take("C1", now)
    pace.take("C2", now + 300)
    assert.sameMembers([...pace.exhausted(now + 300)], ["C1", "C2"])
    assert.strictEqual(pace.nextAt(now + 300), now + 1_000)
    assert.deepStrictEqual(pace.exhausted(now + 1_000), ["C2"])
    // Rounding up may cost a millisecond.
    assert.closeTo(pace.nextAt(now + 1_000) ?? 0, now + 1_300, 1)
  })

  it("says a moment at which a post really goes out", () => {
    const pace = new Pace(333, 1)
    let at = now
    for (let post = 0; post < 50; post++) {
      assert.isTrue(pace.take("C1", at))
      at = pace.nextAt(at) ?? at
    }
    assert.isAtMost(at - now, 50 * 334)
  })

  it("forgets a channel whose bucket is full again", () => {
    const pace = new Pace(1_000, 2)
    for (let channel = 0; channel < 1_000; channel++) pace.take(`C${channel}`, now)
    pace.exhausted(now + 60_000)
    const { buckets } = pace as unknown as { readonly buckets: ReadonlyMap<string, unknown> }
    assert.strictEqual(buckets.size, 0)
  })

  it("lives through a clock that is set back", () => {
    const pace = new Pace(1_000, 1)
    pace.take("C1", now)
    assert.isFalse(pace.take("C1", now - 3_600_000))
    assert.isTrue(pace.take("C1", now - 3_600_000 + 1_000))
  })

  const step = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Steps = Schema.Array(
    Schema.Struct({ wait: step(3_000), tries: step(6), pauseFor: Schema.NullOr(step(5_000)), ask: Schema.Boolean })
  ).check(Schema.isMaxLength(40))
  const Limits = Schema.Struct({
    interval: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_000 })),
    burst: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  })

  it.prop("never lets more than burst + elapsed / interval out in any window", [Limits, Steps], ([limits, steps]) => {
    const { burst, interval } = limits
    const pace = new Pace(interval, burst)
    const posts: Array<number> = []
    let at = now
    for (const { ask, pauseFor, tries, wait } of steps) {
      at += wait
      if (ask) pace.exhausted(at)
      for (let attempt = 0; attempt < tries; attempt++) if (pace.take("C1", at)) posts.push(at)
      if (pauseFor !== null) pace.pause("C1", at, at + pauseFor)
    }
    for (let first = 0; first < posts.length; first++) {
      for (let last = first; last < posts.length; last++) {
        const elapsed = (posts[last] ?? 0) - (posts[first] ?? 0)
        assert.isAtMost(last - first + 1, burst + Math.floor(elapsed / interval + 1e-6))
      }
    }
  })
})
