/** Secrets are taken out of text: by their value, or by their shape. */
import { assert, it } from "@effect/vitest"
import { hiding, hidingIn } from "../src/redaction.ts"

const cases: ReadonlyArray<readonly [what: string, text: string, left: string]> = [
  ["a bot token", "Bearer xoxb-1-2-abc, refused", "Bearer <redacted>, refused"],
  ["an app token in JSON", `{"token":"xapp-1-A0-1-ff"}`, `{"token":"<redacted>"}`],
  ["a rotated token", "xoxe.xoxb-1-Mi0x", "<redacted>"],
  [
    "the secret of a response_url",
    "POST https://hooks.slack.com/commands/T1/2/abc failed",
    "POST https://hooks.slack.com/<redacted> failed"
  ],
  ["what was given by value", "the key is s3cret+/=", "the key is <redacted>"],
  ["what was given by value, in an address", "GET /?token=s3cret%2B%2F%3D", "GET /?token=<redacted>"],
  ["the longer of two that begin alike", "s3cret+/=more", "<redacted>"],
  ["nothing of an ordinary sentence", "the box-office app-store is in xoxo", "the box-office app-store is in xoxo"],
  ["nothing for a value that is too short to be one", "a b c", "a b c"]
]

for (const [what, text, left] of cases) {
  it(`hides ${what}`, () => assert.strictEqual(hiding(["s3cret+/=", "s3cret+/=more", "a b"])(text), left))
}

it("hides in data, at any depth that is exported, and bounds what is long", () => {
  const safe = hidingIn(hiding(["s3cret"]), 10)
  assert.deepStrictEqual(
    safe({ a: ["s3cret", 1, null, true], b: { c: "x".repeat(20) } }),
    { a: ["<redacted>", 1, null, true], b: { c: `${"x".repeat(10)}…` } }
  )
})
