/**
 * The dashboard: one page at `/`, and the files it is made of under `/dashboard/`.
 *
 * Owns nothing but their bytes, which are read when somebody first asks and are the same for everybody: what the page
 * shows it asks the API for. The page loads nothing from anywhere else, and its policy holds it to that: no script but
 * these files, no markup out of strings (trusted types). The library of the plots comes from its own package.
 */
import { Effect, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Refusal, refusal } from "./answers.ts"

class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { cause: Schema.Defect() }) {}

const types: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml"
}

const plots = ["uPlot.esm.js", "uPlot.min.css"]
/** Names of ours: no folders, and of the kinds that a browser needs. */
const ours = /^[a-z]+\.(mjs|css|svg)$/

const folder = new URL("../dashboard/", import.meta.url)
const placeOf = (name: string): URL => new URL(name, plots.includes(name) ? import.meta.resolve("uplot") : folder)

const read = (name: string) =>
  Effect.tryPromise({
    try: () => readFile(fileURLToPath(placeOf(name)), "utf8"),
    catch: (cause) => new Unreadable({ cause })
  })

const headers = { "cache-control": "no-cache" }

const missing = refusal(new Refusal({ status: 404, error: "this is no part of the dashboard" }))

const file = (name: string) =>
  read(name).pipe(
    Effect.map((text) =>
      HttpServerResponse.text(text, { contentType: types[name.split(".").at(-1) ?? ""] ?? "text/plain", headers })
    ),
    Effect.catchTag("Unreadable", (error) =>
      Effect.as(
        Effect.logDebug("a file of the dashboard cannot be read", error).pipe(Effect.annotateLogs({ file: name })),
        missing
      ))
  )

/** The import map is the page's only script that stands in it. */
const policyFor = (html: string): string => {
  const map = /<script type="importmap">([\s\S]*?)<\/script>/.exec(html)?.[1] ?? ""
  const hash = createHash("sha256").update(map).digest("base64")
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'"
  ].join("; ")
}

const page = Effect.map(
  read("index.html"),
  (html) =>
    HttpServerResponse.text(html, {
      contentType: types["html"] ?? "text/html",
      headers: { ...headers, "cache-control": "no-store", "content-security-policy": policyFor(html) }
    })
).pipe(Effect.catchTag("Unreadable", () => file("index.html")))

const part = Effect.flatMap(
  HttpRouter.params,
  ({ name = "" }) => plots.includes(name) || ours.test(name) ? file(name) : Effect.succeed(missing)
)

export const layer = HttpRouter.addAll([
  HttpRouter.route("GET", "/", page),
  HttpRouter.route("GET", "/dashboard/:name", part)
])
