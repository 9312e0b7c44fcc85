/** ChatPageLabStyle: how the chat page's trouble, ways, buttons and dialogs look; colours are ChatPageStyle's. */
export const chatPageLabStyle = `
:root { --bad-ground: #fbe9e7; --ok-ground: #e3f3ea }
@media (prefers-color-scheme: dark) { :root { --bad-ground: #3a1d1b; --ok-ground: #14301f } }
.small, small { font-size: 13px; color: var(--muted) }
.strong { font-weight: 650 }
#busy, #reply-busy { margin: 0 18px }

#trouble { grid-area: trouble; display: flex; align-items: center; gap: 12px; padding: 6px 14px; background: var(--warn-ground); color: var(--warn); border-bottom: 1px solid var(--line); font-size: 14px; font-weight: 600 }
#trouble span { min-width: 0; overflow-wrap: anywhere }
#trouble button { flex: none; margin-left: auto; min-height: 32px; padding: 0 12px; border: 1px solid currentColor; border-radius: 8px; background: none; font-weight: 650 }
#lab-open { min-height: 32px; padding: 0 12px; border: 1px solid var(--line); border-radius: 99px; background: none; font-size: 13px; font-weight: 600 }
#lab-open.on { border-color: var(--warn); color: var(--warn) }
#lab-open .count:not(:empty) { margin-left: 2px }

#lab { position: fixed; inset: 0; z-index: 4; display: none; flex-direction: column; background: var(--panel) }
#lab.shown { display: flex }
#lab .scroll { padding: 0 16px 24px }
#lab section { padding: 14px 0 6px }
#lab section + section { border-top: 1px solid var(--line) }
#lab h3 { margin: 0 0 6px; font-size: 14px; font-weight: 650 }
#lab p { margin: 0 0 10px }
#gateway-state { display: flex; align-items: baseline; gap: 8px; font-size: 14px }
#gateway-state::before { content: ""; flex: none; width: 8px; height: 8px; border-radius: 50%; background: var(--ok) }
#gateway-state[data-state="down"]::before { background: var(--bad) }
#dashboard { color: var(--accent) }
.kills { display: grid; gap: 8px; margin-bottom: 12px }
.kills .press { display: flex; align-items: center; justify-content: space-between; gap: 8px; text-align: left }
.kills code { font: 11px/1 ui-monospace, SFMono-Regular, Menlo, monospace; opacity: .8 }
#kill-ack[aria-pressed="true"] { background: var(--bad); color: var(--panel) }
#switches { margin: 4px 0 0; padding: 0; list-style: none }
#switches button { display: flex; align-items: center; gap: 12px; width: 100%; min-height: 44px; padding: 8px 0; border: 0; border-top: 1px solid var(--line); background: none; text-align: left }
#switches .words { flex: 1 }
#switches b { display: block; font-size: 14px; font-weight: 600 }
#switches .words span { display: block; font-size: 12.5px; line-height: 1.4; color: var(--muted) }
.knob { flex: none; position: relative; width: 36px; height: 20px; border: 1px solid var(--muted); border-radius: 99px; background: var(--raised) }
.knob::after { content: ""; position: absolute; inset: 2px auto 2px 2px; width: 14px; border-radius: 50%; background: var(--muted) }
[aria-checked="true"] .knob { border-color: var(--warn); background: var(--warn) }
[aria-checked="true"] .knob::after { left: 18px; background: var(--panel) }
[aria-checked="true"] b { color: var(--warn) }

.way { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 4px 0 2px; padding: 0; list-style: none; font-size: 12.5px; color: var(--muted) }
.way li { position: relative; display: flex; align-items: baseline; gap: 6px }
.way li::before { content: ""; align-self: center; width: 7px; height: 7px; border-radius: 50%; background: currentColor }
.way li:not(:last-child)::after { content: ""; position: absolute; right: -12px; top: 50%; width: 8px; height: 1px; background: var(--line) }
.way time { color: var(--muted); font-size: 11.5px; font-variant-numeric: tabular-nums }
.way [data-kind="acked"] { color: var(--ok) }
.way [data-kind="handling"] { color: var(--accent) }
.way [data-kind="good"] { padding: 0 8px; border-radius: 99px; background: var(--ok-ground); color: var(--ok); font-weight: 650 }
.way [data-kind="waiting"], .way [data-kind="asked"], .way [data-kind="ackLost"], .way [data-kind="sentAgain"] { color: var(--warn) }
.way [data-kind="killed"], .way [data-kind="bad"] { padding: 0 8px; border-radius: 99px; background: var(--bad-ground); color: var(--bad); font-weight: 650 }

.press { display: inline-flex; align-items: center; min-height: 36px; padding: 4px 14px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); color: var(--ink); font-size: 14px; font-weight: 600; text-decoration: none }
.press:hover:not(:disabled) { border-color: currentColor }
.press:disabled { opacity: .5; cursor: default }
.press.primary { border-color: var(--accent); background: var(--accent); color: var(--on-accent) }
.press.danger { border-color: color-mix(in srgb, var(--bad) 45%, var(--line)); color: var(--bad) }
.blocks { display: grid; gap: 8px; max-width: 640px; margin-top: 2px }
.blocks:empty { display: none }
.blocks hr { width: 100%; margin: 2px 0; border: 0; border-top: 1px solid var(--line) }
.section { display: flex; gap: 12px; align-items: start; justify-content: space-between }
.actions { display: flex; flex-wrap: wrap; gap: 8px }
.file::before { content: ""; display: inline-block; width: 9px; height: 11px; margin-right: 6px; border: 1.5px solid currentColor; border-radius: 2px }
.chip { background: none }
a.chip { color: var(--accent); text-decoration: none }
button.chip[aria-pressed="true"] { border-color: var(--accent); background: var(--tint) }
.more { position: relative }
.more summary { padding: 2px 8px; border-radius: 6px; color: var(--muted); font-size: 15px; line-height: 1.4; list-style: none; cursor: pointer }
.more summary::-webkit-details-marker { display: none }
.more summary:hover { background: var(--tint) }
.menu { position: absolute; z-index: 2; bottom: 100%; left: 0; display: flex; gap: 2px; padding: 4px; border: 1px solid var(--line); border-radius: 10px; background: var(--panel); box-shadow: 0 4px 16px rgb(0 0 0 / .14) }
.menu button { min-width: 34px; min-height: 34px; padding: 0 8px; border: 0; border-radius: 7px; background: none; font-size: 14px }
.menu button:hover { background: var(--raised) }
.over { display: flex; align-items: center }
.over .open { margin-left: -8px }
@media (hover: hover) {
  .over { position: absolute; top: -10px; right: 16px; padding: 1px 3px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); opacity: 0 }
  .over .open { margin: 0 }
  .over .menu { top: 100%; bottom: auto; left: auto; right: 0 }
  .list > :last-child:not(:first-child) .menu { top: auto; bottom: 100% }
  .message:hover .over, .over:focus-within { opacity: 1 }
}
.editing { display: grid; gap: 8px; margin: 2px 0 4px }
.editing textarea { border: 1px solid var(--accent); border-radius: 8px; padding: 8px 12px }

#new-channel { margin: 4px 8px; padding: 6px 12px; border: 0; border-radius: 8px; background: none; color: var(--muted); font-size: 14px; white-space: nowrap }
#new-channel:hover { background: var(--raised) }
.box { position: relative }
.mentions { position: absolute; z-index: 3; bottom: 100%; left: 0; min-width: 220px; margin: 0 0 6px; padding: 4px; border: 1px solid var(--line); border-radius: 10px; background: var(--panel); box-shadow: 0 4px 16px rgb(0 0 0 / .14); list-style: none }
.mentions li { padding: 6px 10px; border-radius: 7px; color: var(--muted); cursor: pointer }
.mentions b { color: var(--ink) }
.mentions [aria-selected="true"] { background: var(--tint) }
.files { display: flex; flex-wrap: wrap; gap: 6px; margin: 0; padding: 4px 10px; list-style: none }
dialog { width: min(460px, calc(100vw - 32px)); max-height: calc(100dvh - 32px); padding: 20px; border: 1px solid var(--line); border-radius: 14px; background: var(--panel); color: var(--ink) }
dialog::backdrop { background: rgb(0 0 0 / .45) }
dialog form { padding: 0 }
dialog h2 { margin: 0 0 14px; font-size: 18px }
dialog .actions { justify-content: flex-end; margin-top: 18px }
.field { display: grid; gap: 4px; margin: 12px 0 0 }
.field .label { font-size: 14px; font-weight: 600 }
.field input, .field select, .field textarea { width: 100%; min-height: 40px; padding: 8px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); font-size: 16px }

@media (min-width: 1120px) {
  body { display: grid; grid-template-columns: minmax(0, 1fr) 304px }
  #lab { position: static; display: flex; height: 100dvh; border-left: 1px solid var(--line) }
  #lab-open, #lab-close { display: none }
}
@media (min-width: 800px) and (max-width: 1119px) {
  #lab { left: auto; width: 340px; border-left: 1px solid var(--line); box-shadow: 0 0 32px rgb(0 0 0 / .2) }
}
@media (max-width: 799px) {
  nav { display: flex; overflow-x: auto }
  nav ul { overflow: visible }
}
@media (max-width: 420px) {
  .who legend { display: none }
  .menu { left: -110px }
}
`
