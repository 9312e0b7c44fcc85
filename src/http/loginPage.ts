/** The page that a browser gets where nothing is shown without the token. It says nothing about the gateway. */
import { createHash } from "node:crypto"

/** As the dashboard looks (`dashboard/style.css`), which cannot be loaded before the login. */
const style = `:root{color-scheme:light dark;--ground:#f3f5f4;--panel:#fff;--ink:#1b2225;--muted:#59666b;--line:#dfe5e3;
--accent:#0b6e69;--on-accent:#fff;--bad:#b3261e;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media(prefers-color-scheme:dark){:root{--ground:#111618;--panel:#171d20;--ink:#e5ebec;--muted:#9aa8ac;--line:#2b3538;
--accent:#5fd0c5;--on-accent:#06201e;--bad:#ff9a90}}
*{box-sizing:border-box}
body{min-height:90vh;margin:0;display:grid;place-items:center;background:var(--ground);color:var(--ink)}
form{display:grid;gap:10px;width:min(380px,calc(100vw - 28px));padding:22px;border:1px solid var(--line);border-radius:12px;background:var(--panel)}
h1,p{margin:0}
h1{font-size:20px;font-weight:650;letter-spacing:-.015em}
p{color:var(--bad)}
label{font-size:13px;font-weight:550;color:var(--muted)}
input,button{min-height:38px;padding:0 11px;border:1px solid var(--line);border-radius:8px;background:var(--panel);color:inherit;font:inherit}
button{border-color:var(--accent);background:var(--accent);color:var(--on-accent);font-weight:600;cursor:pointer}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}`

/** What the policy of this one page allows as its style. */
export const loginStyle = `'sha256-${createHash("sha256").update(style).digest("base64")}'`

/** `problem` is a sentence of ours, without anything that was sent. */
export const loginPage = (problem?: string) =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slackwater</title>
<style>${style}</style>
<main>
<form method="post" action="/login">
<h1>Slackwater</h1>
${problem === undefined ? "" : `<p role="alert">${problem}</p>\n`}<label for="token">Admin token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
</main>
</html>
`
