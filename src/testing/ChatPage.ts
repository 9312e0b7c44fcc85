/**
 * ChatPage: the page in which people talk to a bot on a LocalSlack.
 *
 * Owns one HTML document that loads nothing from anywhere: its style and script are inside, and its content security
 * policy names them by hash, so that neither a message nor a mistake can bring in another. Without JavaScript it says
 * so. Everything it shows comes from `/_local/*`.
 */
import { createHash } from "node:crypto"
import { chatPageLabStyle } from "./ChatPageLabStyle.ts"
import { chatPageScript } from "./ChatPageScript.ts"
import { chatPageStyle } from "./ChatPageStyle.ts"

const style = chatPageStyle + chatPageLabStyle

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const policy = [
  "default-src 'none'",
  `script-src ${sha256(chatPageScript)}`,
  `style-src ${sha256(style)}`,
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

const composer = (prefix: string, field: string, label: string) =>
  `<form id="${prefix}form"><div class="box">
      <label class="unseen" id="${field}-label" for="${field}">${label}</label>
      <textarea id="${field}" rows="1" maxlength="40000" placeholder="${label}" autocomplete="off" aria-autocomplete="list"
        aria-controls="${prefix}mentions"></textarea>
      <ul class="mentions" id="${prefix}mentions" role="listbox" aria-label="People to mention" hidden></ul>
      <ul class="files" id="${prefix}files" aria-label="Files to send" hidden></ul>
      <div class="tools"><button type="button" class="at" id="${prefix}at" aria-label="Mention the bot">@bot</button>
        <button type="button" class="at" id="${prefix}attach" aria-label="Attach files (LocalSlack keeps their names only)">+ File</button>
        <input class="unseen" type="file" multiple id="${prefix}file" tabindex="-1" aria-label="Files">
        <span class="hint" id="${prefix}hint">Enter sends</span>
        <button class="send">Send</button></div>
    </div><p class="error" id="${prefix}problem" role="alert" hidden></p></form>`

const lab = `<aside id="lab" aria-labelledby="lab-title">
  <div class="title"><h2 id="lab-title">What can go wrong</h2>
    <button type="button" id="lab-close" aria-label="Close">×</button></div>
  <div class="scroll" tabindex="0" role="region" aria-labelledby="lab-title">
    <p class="error" id="lab-problem" role="alert" hidden></p>
    <section id="gateway" aria-labelledby="gateway-title" hidden>
      <h3 id="gateway-title">The gateway</h3>
      <p id="gateway-state" role="status" data-state="down"></p>
      <p class="small">Write something, then kill the process that answers. What it was doing is done all the same, once.</p>
      <div class="kills">
        <button type="button" class="press danger" id="kill">Kill it now <code>SIGKILL</code></button>
        <button type="button" class="press danger" id="kill-ack" aria-pressed="false">Kill it right after the next ack <code>SIGKILL</code></button>
        <button type="button" class="press" id="term">Ask it to stop <code>SIGTERM</code></button>
      </div>
      <p class="small"><a id="dashboard" target="_blank" rel="noopener noreferrer" hidden>Open the gateway's dashboard</a></p>
    </section>
    <section aria-labelledby="faults-title">
      <h3 id="faults-title">Slack</h3>
      <div class="kills">
        <button type="button" class="press danger" id="socket">Kill the socket</button>
        <button type="button" class="press" id="reconnect">Ask the bot to reconnect</button>
      </div>
      <ul id="switches"></ul>
    </section>
  </div>
</aside>`

const dialogs = `<dialog id="modal" aria-labelledby="modal-title"><form id="modal-form" novalidate>
  <h2 id="modal-title"></h2><div id="modal-blocks"></div><p class="error" id="modal-problem" role="alert" hidden></p>
  <div class="actions"><button type="button" class="press" id="modal-cancel">Cancel</button>
    <button class="press primary" id="modal-send">Submit</button></div></form></dialog>
<dialog id="channel" aria-labelledby="channel-title"><form id="channel-form">
  <h2 id="channel-title">New channel</h2>
  <div class="field"><label class="label" for="channel-name">Name</label>
    <input id="channel-name" required maxlength="80" autocomplete="off" placeholder="plans"></div>
  <p class="error" id="channel-problem" role="alert" hidden></p>
  <div class="actions"><button type="button" class="press" id="channel-cancel">Cancel</button>
    <button class="press primary">Create</button></div></form></dialog>`

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="local-secret" content="%SECRET%">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LocalSlack</title>
<link rel="icon" href="${icon}">
<style>${style}</style>
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
    <button type="button" id="lab-open" aria-expanded="false" aria-controls="lab">Trouble <span class="count" id="lab-count"></span></button>
  </header>
  <div id="trouble" role="status" hidden><span id="trouble-text"></span>
    <button type="button" id="trouble-end">End all</button></div>
  <nav aria-label="Conversations"><h2>Conversations</h2><ul id="channels"></ul>
    <button type="button" id="new-channel">+ New channel</button></nav>
  <main class="room" aria-labelledby="place">
    <div class="title"><h2 id="place">…</h2><p id="topic"></p></div>
    <div class="scroll" id="room-scroll" tabindex="0" role="region" aria-label="Messages">
      <ol class="list" id="messages"></ol>
      <p class="empty" id="empty" hidden><strong>Nothing here yet</strong><span id="empty-hint"></span></p>
    </div>
    ${composer("", "text", "Message")}
  </main>
  <aside class="thread" id="thread" aria-labelledby="thread-title" hidden>
    <div class="title"><h2 id="thread-title">Thread</h2>
      <button type="button" id="close" aria-label="Close the thread">×</button></div>
    <div class="scroll" id="thread-scroll" tabindex="0" role="region" aria-label="Messages of the thread">
      <ol class="list" id="replies"></ol></div>
    <p class="busy" id="reply-busy" role="status" hidden></p>
    ${composer("reply-", "reply", "Reply")}
  </aside>
</div>
${lab}
${dialogs}
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
