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

class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { cause: Schema.Defect() }) {}

const types: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml"
}

const own = [
  "changes.mjs",
  "dialog.mjs",
  "element.mjs",
  "gateway.mjs",
  "icon.svg",
  "list.mjs",
  "login.mjs",
  "main.mjs",
  "overview.mjs",
  "plots.mjs",
  "queues.mjs",
  "routes.mjs",
  "row.mjs",
  "states.mjs",
  "style.css",
  "times.mjs",
  "world.mjs"
]
const plots = ["uPlot.esm.js", "uPlot.min.css"]

const folder = new URL("../dashboard/", import.meta.url)
const placeOf = (name: string): URL => new URL(name, plots.includes(name) ? import.meta.resolve("uplot") : folder)

const read = (name: string) =>
  Effect.tryPromise({
    try: () => readFile(fileURLToPath(placeOf(name)), "utf8"),
    catch: (cause) => new Unreadable({ cause })
  })

const headers = { "cache-control": "no-cache", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" }

/** Answers a file; it is read again where reading failed. */
const file = (name: string) =>
  read(name).pipe(
    Effect.map((text) =>
      HttpServerResponse.text(text, { contentType: types[name.split(".").at(-1) ?? ""] ?? "text/plain", headers })
    ),
    Effect.catchTag("Unreadable", (error) =>
      Effect.as(
        Effect.logError("a file of the dashboard cannot be read", error).pipe(Effect.annotateLogs({ file: name })),
        HttpServerResponse.jsonUnsafe({ error: "this part of the dashboard is not installed" }, { status: 500 })
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

export const layer = HttpRouter.addAll([
  HttpRouter.route("GET", "/", page),
  ...[...own, ...plots].map((name) => HttpRouter.route("GET", `/dashboard/${name}`, file(name)))
])
