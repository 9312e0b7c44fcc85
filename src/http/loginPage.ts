/** The page that a browser gets where nothing is shown without the token. It says nothing about the gateway. */
import { createHash } from "node:crypto"

const style = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{min-height:90vh;margin:0;display:grid;place-items:center}
form{display:grid;gap:.75rem;width:min(22rem,90vw)}
input,button{font:inherit;padding:.6rem}`

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
