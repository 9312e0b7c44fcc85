/**
 * ChatPage: the page in which people talk to a bot on a LocalSlack.
 *
 * Owns one HTML document that loads nothing from anywhere: its style and script are inside, and its content security
 * policy names them by hash, so that neither a message nor a mistake can bring in another. Without JavaScript it says
 * so. Everything it shows comes from `/_local/*`.
 */
import { createHash } from "node:crypto"
import { chatPageScript } from "./ChatPageScript.ts"
import { chatPageStyle } from "./ChatPageStyle.ts"

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const policy = [
  "default-src 'none'",
  `script-src ${sha256(chatPageScript)}`,
  `style-src ${sha256(chatPageStyle)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const icon = "data:image/svg+xml," + encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#0b6e69"/>` +
    `<path d="M4 10q4-4 8 0t8 0M4 15q4-4 8 0t8 0" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>`
)

const composer = (form: string, field: string, label: string, at: string, problem: string) =>
  `<form id="${form}"><div class="box">
      <label class="unseen" id="${field}-label" for="${field}">${label}</label>
      <textarea id="${field}" rows="1" maxlength="40000" placeholder="${label}" autocomplete="off"></textarea>
      <div class="tools"><button type="button" class="at" id="${at}" aria-label="Mention the bot">@bot</button>
        <span class="hint" id="${field === "text" ? "hint" : "reply-hint"}">Enter sends</span>
        <button class="send">Send</button></div>
    </div><p class="error" id="${problem}" role="alert" hidden></p></form>`

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="local-secret" content="%SECRET%">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LocalSlack</title>
<link rel="icon" href="${icon}">
<style>${chatPageStyle}</style>
</head>
<body>
<a class="skip" href="#text">Skip to the message field</a>
<div id="app">
  <header class="top">
    <h1 class="brand"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 9q4.5-5 9 0t9 0M3 16q4.5-5 9 0t9 0"
      fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/></svg>LocalSlack</h1>
    <span id="link" role="status" data-state="lost">connecting…</span>
    <fieldset class="who"><legend>You are</legend>
      <label><input type="radio" name="me" value="U0ALICE" checked autocomplete="off"><span>Alice</span></label>
      <label><input type="radio" name="me" value="U0BOB" autocomplete="off"><span>Bob</span></label>
    </fieldset>
  </header>
  <nav aria-label="Conversations"><h2>Conversations</h2><ul id="channels"></ul></nav>
  <main class="room" aria-labelledby="place">
    <div class="title"><h2 id="place">…</h2><p id="topic"></p></div>
    <div class="scroll" id="room-scroll" tabindex="0" role="region" aria-label="Messages">
      <ol class="list" id="messages"></ol>
      <p class="empty" id="empty" hidden><strong>Nothing here yet</strong><span id="empty-hint"></span></p>
    </div>
    <p class="busy" id="busy" role="status" hidden></p>
    ${composer("form", "text", "Message", "at", "problem")}
  </main>
  <aside class="thread" id="thread" aria-labelledby="thread-title" hidden>
    <div class="title"><h2 id="thread-title">Thread</h2>
      <button type="button" id="close" aria-label="Close the thread">×</button></div>
    <div class="scroll" id="thread-scroll" tabindex="0" role="region" aria-label="Messages of the thread">
      <ol class="list" id="replies"></ol></div>
    <p class="busy" id="reply-busy" role="status" hidden></p>
    ${composer("reply-form", "reply", "Reply", "reply-at", "reply-problem")}
  </aside>
</div>
<div class="unseen" id="live" role="log" aria-live="polite" aria-label="New messages"></div>
<noscript>This page needs JavaScript. Without it, use <code>POST /_local/messages</code>.</noscript>
<script>${chatPageScript}</script>
</body>
</html>
`

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": policy,
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

/** The secret is what makes its changes known as its own; it is in this page and nowhere else. */
export const chatPage = (
  secret: string
): { readonly html: string; readonly headers: Readonly<Record<string, string>> } => ({
  html: html.replace("%SECRET%", secret),
  headers
})
