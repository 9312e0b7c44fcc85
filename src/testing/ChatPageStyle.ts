/**
 * ChatPageStyle: how the chat page looks, from 360 px up, light and dark.
 *
 * One column with tabs on a phone, where a thread covers the conversation; columns side by side from 800 px. Colours
 * are named once per scheme and keep a contrast of at least 4.5 to 1 for text.
 */
export const chatPageStyle = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f4; --panel: #ffffff; --raised: #f7f9f8; --ink: #1b2225; --muted: #59666b; --line: #dfe5e3;
  --accent: #0b6e69; --on-accent: #ffffff; --tint: #e2f1ef; --code: #eef1f0;
  --ok: #1a7f4b; --warn: #8f5a00; --warn-ground: #fdf3df; --bad: #b3261e;
  --alice: #7a4fb5; --bob: #a8501c; --bot: #0b6e69;
  --radius: 10px;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111618; --panel: #171d20; --raised: #1d2528; --ink: #e5ebec; --muted: #9aa8ac; --line: #2b3538;
    --accent: #5fd0c5; --on-accent: #06201e; --tint: #17322f; --code: #222b2e;
    --ok: #66d19a; --warn: #f0bd66; --warn-ground: #33290f; --bad: #ff9a90;
    --alice: #c3a3f2; --bob: #f0a878; --bot: #5fd0c5;
  }
}
*, *::before, *::after { box-sizing: border-box }
[hidden] { display: none !important }
html, body { height: 100% }
body { margin: 0; background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100% }
button, textarea, input { font: inherit; color: inherit }
button { cursor: pointer }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.unseen {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap
}
.skip { position: absolute; left: 8px; top: -60px; z-index: 5; padding: 8px 12px; background: var(--panel); color: var(--accent); border-radius: 8px }
.skip:focus { top: 8px }

#app { display: grid; height: 100dvh; grid-template: "head" auto "trouble" auto "nav" auto "room" minmax(0, 1fr) / minmax(0, 1fr) }

header.top {
  grid-area: head; display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px; padding: 10px 14px;
  background: var(--panel); border-bottom: 1px solid var(--line)
}
.brand { display: flex; align-items: center; gap: 8px; margin: 0; font-size: 16px; font-weight: 650; letter-spacing: -.01em }
.brand svg { width: 24px; height: 24px; color: var(--accent) }
#link { display: inline-flex; align-items: center; gap: 8px; padding: 3px 10px; border-radius: 99px; font-size: 13px; color: var(--muted); background: var(--raised) }
#link::before { content: ""; flex: none; width: 8px; height: 8px; border-radius: 50%; background: currentColor }
#link[data-state="up"] { color: var(--ok) }
#link[data-state="down"] { color: var(--warn); background: var(--warn-ground) }
#link[data-state="lost"] { color: var(--bad) }
.who { display: flex; align-items: center; gap: 2px; margin: 0 0 0 auto; padding: 3px; border: 0; border-radius: 99px; background: var(--raised); font-size: 13px }
.who legend { float: left; padding: 0 6px 0 9px; color: var(--muted) }
.who label { position: relative; display: block }
.who input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer }
.who span { display: block; padding: 3px 12px; border-radius: 99px; font-weight: 550 }
.who input:checked + span { background: var(--accent); color: var(--on-accent) }
.who input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px }

nav { grid-area: nav; background: var(--panel); border-bottom: 1px solid var(--line) }
nav h2 { display: none; margin: 18px 16px 6px; font-size: 12px; font-weight: 600; color: var(--muted) }
nav ul { display: flex; gap: 4px; margin: 0; padding: 6px 10px; list-style: none; overflow-x: auto }
nav button { display: flex; align-items: center; gap: 8px; width: 100%; min-height: 36px; padding: 5px 12px; border: 0; border-radius: 8px; background: none; white-space: nowrap; text-align: left }
nav button:hover { background: var(--raised) }
nav button[aria-current="true"] { background: var(--tint); color: var(--accent); font-weight: 600 }
nav .sign { width: 16px; color: var(--muted); text-align: center; font-weight: 500 }
nav .sign.here { color: var(--ok) }
nav .count { margin-left: auto; min-width: 20px; padding: 0 6px; border-radius: 99px; background: var(--accent); color: var(--on-accent); font-size: 12px; font-weight: 650; text-align: center }

.room, .thread { display: flex; flex-direction: column; min-width: 0; min-height: 0; background: var(--panel) }
.room { grid-area: room }
.thread { position: fixed; inset: 0; z-index: 3 }
.title { display: flex; align-items: center; gap: 10px; min-height: 52px; padding: 8px 16px; border-bottom: 1px solid var(--line) }
.title h2 { margin: 0; font-size: 16px; font-weight: 650 }
.title p { margin: 0; font-size: 13px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.title button { margin-left: auto; width: 36px; height: 36px; border: 0; border-radius: 8px; background: none; font-size: 20px; line-height: 1 }
.title button:hover { background: var(--raised) }

.scroll { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 12px 0 }
.list { margin: 0; padding: 0; list-style: none }
.empty { max-width: 34em; margin: 14vh auto 0; padding: 0 24px; text-align: center; color: var(--muted) }
.empty strong { display: block; margin-bottom: 4px; color: var(--ink); font-size: 17px }

.message { position: relative; display: grid; grid-template-columns: 36px minmax(0, 1fr); gap: 0 12px; padding: 8px 16px }
.message:hover { background: var(--raised) }
.face { display: grid; place-items: center; width: 36px; height: 36px; border-radius: var(--radius); background: var(--who); color: var(--panel); font-weight: 650 }
.face[data-who="bot"] { --who: var(--bot) } .face[data-who="U0ALICE"] { --who: var(--alice) } .face[data-who="U0BOB"] { --who: var(--bob) }
.face { --who: var(--muted) }
.by { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px }
.by b { font-weight: 650 }
.tag { align-self: center; padding: 0 6px; border-radius: 5px; background: var(--tint); color: var(--accent); font-size: 11px; font-weight: 650; line-height: 17px }
.by time, .by .edited { font-size: 12px; color: var(--muted) }
.text { overflow-wrap: anywhere; white-space: pre-wrap }
.text.gone { color: var(--muted); font-style: italic }
.text a { color: var(--accent) }
.text code { padding: 1px 4px; border-radius: 5px; background: var(--code); font: 13px/1.4 ui-monospace, SFMono-Regular, Menlo, monospace }
.text pre { margin: 4px 0; padding: 10px 12px; border-radius: 8px; background: var(--code); font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; white-space: pre-wrap }
.mention { padding: 0 3px; border-radius: 5px; background: var(--tint); color: var(--accent); font-weight: 550 }
.below { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-top: 3px }
.chip { padding: 1px 8px; border: 1px solid var(--line); border-radius: 99px; font-size: 13px }
.open { display: inline-flex; max-width: 100%; gap: 6px; padding: 2px 8px; border: 0; border-radius: 6px; background: none; font-size: 13px; color: var(--muted) }
.open b { flex: none; color: var(--accent); font-weight: 600 }
.open span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.open:hover { background: var(--tint) }
.open:first-child { margin-left: -8px }
.whisper { background: var(--raised) }
.busy { margin: 2px 0; font-size: 13px; color: var(--muted) }

form { padding: 8px 14px max(12px, env(safe-area-inset-bottom)); background: var(--panel) }
.box { border: 1px solid var(--line); border-radius: var(--radius); background: var(--panel) }
.box:focus-within { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent) }
textarea { display: block; width: 100%; min-height: 42px; max-height: 180px; padding: 10px 12px 4px; border: 0; background: none; resize: none; field-sizing: content; font-size: 16px }
textarea:focus { outline: 0 }
textarea::placeholder { color: var(--muted); opacity: 1 }
.tools { display: flex; align-items: center; gap: 8px; padding: 4px 6px 6px }
.tools button { min-height: 34px; padding: 0 12px; border: 0; border-radius: 8px; font-size: 14px; font-weight: 600 }
.tools .at { background: var(--raised); color: var(--accent) }
.tools .send { margin-left: auto; background: var(--accent); color: var(--on-accent) }
.tools button:hover { filter: brightness(1.06) }
.hint { overflow: hidden; font-size: 12px; color: var(--muted); text-overflow: ellipsis; white-space: nowrap }
.error { margin: 6px 2px 0; font-size: 13px; color: var(--bad) }

@media (min-width: 800px) {
  #app { grid-template: "head head head" auto "trouble trouble trouble" auto "nav room thread" minmax(0, 1fr) / 208px minmax(0, 1fr) auto }
  nav { border: 0; border-right: 1px solid var(--line); background: var(--ground) }
  nav h2 { display: block }
  nav ul { flex-direction: column; padding: 0 8px }
  .thread { position: static; grid-area: thread; width: clamp(300px, 27vw, 420px); border-left: 1px solid var(--line) }
  textarea { font-size: 15px }
}
@media (max-width: 799px) {
  #link { order: 3; flex: 1 }
  #lab-open { order: 4 }
  .hint { display: none }
  .room .title { position: absolute; width: 1px; height: 1px; min-height: 0; padding: 0; overflow: hidden; clip-path: inset(50%) }
}
`
