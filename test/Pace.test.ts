/** The arithmetic of pacing. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Pace } from "../src/Pace.ts"
import { rateLimits } from "../src/rateLimits.ts"

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

  it("forgets what is full again", () => {
    const pace = new Pace(1_000, 2)
    for (let channel = 0; channel < 1_000; channel++) pace.take(`C${channel}`, now + channel * 300)
    pace.pause("C1", now, now + 1_000, "chat.update")
    pace.exhausted(now + 400_000)
    const { channels, methods } = pace as unknown as Readonly<Record<string, ReadonlyMap<string, unknown>>>
    assert.deepStrictEqual([channels?.size, methods?.size], [0, 0])
  })

  it("lives through a clock that is set back", () => {
    const pace = new Pace(1_000, 1)
    pace.take("C1", now)
    assert.isFalse(pace.take("C1", now - 3_600_000))
    assert.isTrue(pace.take("C1", now - 3_600_000 + 1_000))
  })

  it("lets no more posts out in a minute than Slack takes from one app, however many channels there are", () => {
    const pace = new Pace(1_000, 4)
    let posts = 0
    for (let at = now; at < now + 60_000; at += 10) if (pace.take(`C${at}`, at)) posts += 1
    assert.strictEqual(posts, 300)
  })

  it("paces each method by its own tier, over all channels", () => {
    const pace = new Pace(1_000, 4)
    const calls = (method: string) => {
      let taken = 0
      for (let at = now; at < now + 60_000; at += 100) if (pace.take(`C${at}`, at, method)) taken += 1
      return taken
    }
    const methods = ["chat.startStream", "chat.update", "reactions.add", "files.getUploadURLExternal"]
    assert.deepStrictEqual(methods.map(calls), [20, 50, 50, 100])
    assert.strictEqual(pace.openAt(now + 120_000), now + 120_000)
  })

  it("takes nothing from the method where the channel must wait", () => {
    const pace = new Pace(1_000, 1)
    pace.take("C1", now)
    for (let attempt = 0; attempt < 1_000; attempt++) assert.isFalse(pace.take("C1", now))
    assert.isTrue(pace.take("C2", now))
  })

  it("knows no limit of methods that it does not know, but their pauses", () => {
    const pace = new Pace(1_000, 1)
    for (let call = 0; call < 1_000; call++) assert.isTrue(pace.take("C1", now, "auth.test"))
    pace.pause("C1", now, now + 5_000, "auth.test")
    assert.isFalse(pace.take("C2", now + 4_999, "auth.test"))
    assert.isTrue(pace.take("C2", now + 5_000, "auth.test"))
  })

  it("pauses a method for all channels where its limit is that of the workspace, and no other method", () => {
    const pace = new Pace(1_000, 4)
    pace.pause("C1", now, now + 7_000, "chat.update")
    assert.isFalse(pace.take("C2", now + 6_999, "chat.update"))
    assert.isTrue(pace.take("C1", now))
    assert.isTrue(pace.take("C2", now + 7_000, "chat.update"))
  })

  it("pauses all posts when a second channel is refused before the pause of the first is over", () => {
    const pace = new Pace(1_000, 4)
    pace.pause("C1", now, now + 7_000)
    assert.isTrue(pace.take("C3", now))
    pace.pause("C2", now + 6_999, now + 9_000)
    assert.isFalse(pace.take("C3", now + 8_999))
    assert.strictEqual(pace.nextAt(now + 7_000), now + 9_000)
    assert.isTrue(pace.take("C3", now + 9_000))
  })

  it("does not take a channel that is refused again, or later, for the whole workspace", () => {
    const pace = new Pace(1_000, 4)
    pace.pause("C1", now, now + 7_000)
    pace.pause("C1", now + 3_000, now + 7_000)
    pace.pause("C2", now + 7_000, now + 9_000)
    assert.isTrue(pace.take("C3", now + 7_000))
  })

  it("pauses all posts where Slack says that it means the workspace", () => {
    const pace = new Pace(1_000, 4)
    pace.pause("C1", now, now + 60_000, "chat.postMessage", true)
    assert.isFalse(pace.take("C2", now + 59_999))
    assert.strictEqual(pace.openAt(now), now + 60_000)
    assert.strictEqual(pace.nextAt(now), now + 60_000)
  })

  const step = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Steps = Schema.Array(
    Schema.Struct({
      wait: step(3_000),
      tries: step(9),
      channel: Schema.Literals(["C1", "C2", "C3"]),
      method: Schema.Literals(["chat.postMessage", "chat.postMessage", "chat.update", "few"]),
      pauseFor: Schema.NullOr(step(5_000)),
      ask: Schema.Boolean
    })
  ).check(Schema.isMaxLength(60))
  const Limits = Schema.Struct({
    interval: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_000 })),
    burst: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })),
    perMinute: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
  })
  interface Call {
    readonly at: number
    readonly channel: string
    readonly method: string
  }

  /** Every window that begins and ends with a call. */
  const windows = (calls: ReadonlyArray<Call>, check: (calls: number, elapsed: number) => void) => {
    for (const [first, begin] of calls.entries()) {
      for (const [length, end] of calls.slice(first).entries()) check(length + 1, end.at - begin.at)
    }
  }

  it.prop("never lets more out in any window than the limits say, nor anything in a pause", [Limits, Steps], ([
    { burst, interval, perMinute },
    steps
  ]) => {
    const limits = new Map([
      ["chat.postMessage", { perMinute: perMinute + 20, perChannel: true }],
      ["chat.update", { perMinute }],
      ["few", { perMinute: 1 }]
    ])
    const pace = new Pace(interval, burst, limits)
    const calls: Array<Call> = []
    const pauses: Array<Call & { readonly until: number }> = []
    let at = now
    for (const { ask, channel, method, pauseFor, tries, wait } of steps) {
      at += wait
      if (ask) {
        const waiting = pace.exhausted(at)
        const next = pace.nextAt(at)
        assert.isTrue(next === null ? waiting.length === 0 : next > at)
      }
      for (let attempt = 0; attempt < tries; attempt++) {
        if (pace.take(channel, at, method)) calls.push({ at, channel, method })
      }
      if (pauseFor === null) continue
      pace.pause(channel, at, at + pauseFor, method)
      pauses.push({ at, channel, method, until: at + pauseFor })
    }
    for (const [method, limit] of limits) {
      windows(calls.filter((call) => call.method === method), (count, elapsed) => {
        if (elapsed < 60_000) assert.isAtMost(count, limit.perMinute, method)
      })
    }
    for (const channel of ["C1", "C2", "C3"]) {
      const posts = calls.filter((call) => call.channel === channel && call.method === "chat.postMessage")
      windows(posts, (count, elapsed) => assert.isAtMost(count, burst + Math.floor(elapsed / interval + 1e-6)))
    }
    for (const pause of pauses) {
      // A call at the moment of the pause may have come before it.
      const during = calls.filter((call) => call.method === pause.method && call.at > pause.at && call.at < pause.until)
      assert.isEmpty(pause.method === "chat.postMessage" ? during.filter((c) => c.channel === pause.channel) : during)
    }
  }, { arbitrary: { runs: 2_000, size: 60 }, timeout: 60_000 })

  it.prop(
    "is at least four fifths as fast as Slack promises to be",
    [Schema.Literals([...rateLimits.keys()])],
    ([method]) => {
      const pace = new Pace(1_000, 4)
      const perMinute = rateLimits.get(method)?.perMinute ?? 0
      for (let call = 0, at = now; call < 3 * perMinute; call++) {
        // A moment that `openAt` names is one at which a call really goes out.
        at = pace.openAt(at, method)
        assert.isTrue(pace.take(`C${call}`, at, method))
        assert.isAtMost(at - now, 3 * 60_000 / 0.8)
      }
    }
  )
})

describe("a place that is given back", () => {
  it("counts once, and no time is counted twice, however late it comes back", () => {
    const pace = new Pace(1_000, 3)
    assert.strictEqual(taken(pace, now), 3)
    const after = [1, 2, 3].map(() => {
      pace.giveBack("C1")
      return taken(pace, now + 2_000)
    })
    // With the first, two came back by themselves.
    assert.deepStrictEqual(after, [3, 1, 1])
  })
})
