/**
 * ChatPageScript: what the chat page does, as the text of its one script.
 *
 * Keeps the page in step with `/_local/stream`: on every (re)connect it asks for everything, then applies entries as
 * they come. Whatever people or bots wrote reaches the page as text nodes only, never as markup. New messages are read
 * out through one live region, because the lists are redrawn for edits and reply counts that nobody should hear twice.
 */
export const chatPageScript = String.raw`"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const shown = 500;
const emoji = { eyes: "👀", "+1": "👍", thumbsup: "👍", "-1": "👎", heart: "❤️", tada: "🎉", rocket: "🚀", wave: "👋", x: "❌",
  white_check_mark: "✅", heavy_check_mark: "✔️", hourglass: "⌛", hourglass_flowing_sand: "⏳", thinking_face: "🤔", warning: "⚠️" };
const world = { bot: { userId: "U0BOT" }, people: [], channels: [], connections: 0, me: "U0ALICE", at: "D0ALICE",
  thread: undefined, opener: undefined, messages: new Map(), unread: new Map(), lost: true };

const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== undefined));
  return node;
};
const isBot = (message) => message.bot_id !== undefined;
const nameOf = (id) => id === world.bot.userId ? "Bot" : (world.people.find((p) => p.id === id) || {}).realName || id;
const here = (id) => world.messages.get(id) || new Map();
const repliesOf = (id, ts) => [...here(id).values()].filter((m) => m.thread_ts === ts);
const conversation = () => world.channels.find((c) => c.id === world.at) || { id: world.at, kind: "channel", name: "" };
const mine = (c) => c.kind === "channel" || c.user === world.me;

// --- text: Slack's markup to text nodes
const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const typed = (text) => escape(text).replace(/(^|[^\w@])@(bot|alice|bob)\b/gi, (all, before, name) =>
  before + "<@U0" + name.toUpperCase() + ">");
const markup = /\x60\x60\x60([\s\S]+?)\x60\x60\x60|\x60([^\x60\n]+)\x60|<([^<>\n]+)>|(?<![\w*])\*([^*\n]+)\*(?![\w*])|(?<!\w)_([^_\n]+)_(?!\w)|(?<!\w)~([^~\n]+)~(?!\w)/g;
const reference = (inner) => {
  const [target, label] = inner.split("|");
  if (/^@/.test(target)) return el("span", { class: "mention" }, "@" + nameOf(target.slice(1)).toLowerCase());
  if (/^#/.test(target)) return el("span", { class: "mention" }, "#" + (label || target.slice(1)));
  if (/^!/.test(target)) return el("span", { class: "mention" }, "@" + (label || target.slice(1)));
  if (/^(https?:\/\/|mailto:)/i.test(target)) {
    return el("a", { href: unescape(target), rel: "noopener noreferrer", target: "_blank" }, unescape(label || target));
  }
  return document.createTextNode(unescape("<" + inner + ">"));
};
const rich = (text) => {
  const out = document.createDocumentFragment();
  let last = 0;
  for (const match of text.matchAll(markup)) {
    out.append(unescape(text.slice(last, match.index)));
    last = match.index + match[0].length;
    if (match[1] !== undefined) {
      out.append(el("pre", {}, unescape(match[1].replace(/^\n|\n$/g, ""))));
      if (text[last] === "\n") last++;
    }
    else if (match[2] !== undefined) out.append(el("code", {}, unescape(match[2])));
    else if (match[3] !== undefined) out.append(reference(match[3]));
    else if (match[4] !== undefined) out.append(el("strong", {}, rich(match[4])));
    else if (match[5] !== undefined) out.append(el("em", {}, rich(match[5])));
    else out.append(el("s", {}, rich(match[6])));
  }
  out.append(unescape(text.slice(last)));
  return out;
};
const fromBlocks = (value) => Array.isArray(value) ? value.map(fromBlocks).filter(Boolean).join("\n")
  : value && typeof value === "object" ? (typeof value.text === "string" ? value.text : fromBlocks(Object.values(value))) : "";
const wording = (message) => message.text || fromBlocks(message.blocks) || (message.files ? "" : "(no text)");
const plain = (message) => rich(wording(message)).textContent.replace(/\s+/g, " ");

// --- drawing
const drawMessage = (message, channel, inThread) => {
  const at = new Date(Number(message.ts) * 1000);
  const gone = message.user === "USLACKBOT";
  const name = gone ? "Slack" : nameOf(message.user);
  const below = el("div", { class: "below" });
  for (const file of message.files || []) below.append(el("span", { class: "chip" }, "📎 " + file.title));
  for (const reaction of message.reactions || []) {
    const sign = emoji[reaction.name.split("::")[0]];
    below.append(el("span", { class: "chip", role: "img", title: reaction.users.map(nameOf).join(", "),
      "aria-label": reaction.name + ", " + reaction.users.length }, (sign || ":" + reaction.name + ":") + " " + reaction.users.length));
  }
  if (!inThread) {
    const replies = repliesOf(channel, message.ts);
    const last = replies[replies.length - 1];
    const count = replies.length === 1 ? "1 reply" : replies.length + " replies";
    const button = el("button", { type: "button", class: last ? "open" : "open bare", "data-act": "thread" }, ...(last
      ? [el("b", {}, count), el("span", {}, nameOf(last.user) + ": " + plain(last))]
      : [el("b", {}, "Reply in thread")]));
    button.addEventListener("click", () => openThread(message.ts, true));
    below.append(button);
  }
  return el("li", { class: "message", "data-ts": message.ts },
    el("div", { class: "face", "data-who": isBot(message) ? "bot" : message.user, "aria-hidden": "true" }, name.slice(0, 1)),
    el("div", {},
      el("div", { class: "by" }, el("b", {}, name), isBot(message) ? el("span", { class: "tag" }, "bot") : undefined,
        el("time", { datetime: at.toISOString(), title: at.toLocaleString() },
          at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
        message.edited ? el("span", { class: "edited" }, "(edited)") : undefined),
      el("div", { class: gone ? "text gone" : "text" }, rich(wording(message))),
      below.childNodes.length > 0 ? below : undefined));
};
const put = (list, node) => {
  const scroll = list.parentElement;
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const old = [...list.children].find((child) => child.dataset.ts === node.dataset.ts);
  const focused = old && old.contains(document.activeElement) ? document.activeElement.dataset.act : undefined;
  if (old) old.replaceWith(node);
  else list.insertBefore(node, [...list.children].find((child) => child.dataset.ts > node.dataset.ts) || null);
  if (focused) node.querySelector('[data-act="' + focused + '"]').focus();
  while (list.children.length > shown) list.firstElementChild.remove();
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
};
const drawNav = () => {
  $("channels").replaceChildren(...world.channels.filter(mine).map((c) => {
    const unread = world.unread.get(c.id) || 0;
    const button = el("button", { type: "button", "aria-current": String(c.id === world.at) },
      el("span", { class: c.kind === "im" && world.connections > 0 ? "sign here" : "sign", "aria-hidden": "true" },
        c.kind === "channel" ? "#" : world.connections > 0 ? "●" : "○"),
      c.kind === "channel" ? c.name : "Bot",
      unread > 0 ? el("span", { class: "count" }, String(unread), el("span", { class: "unseen" }, " unread")) : undefined);
    button.addEventListener("click", () => { enter(c.id); $("text").focus(); });
    return el("li", {}, button);
  }));
};
const drawRoom = () => {
  const c = conversation();
  const direct = c.kind === "im";
  $("place").textContent = direct ? "Bot" : "# " + c.name;
  $("topic").textContent = direct ? "A direct message: the bot reads everything here" : "The bot reads what mentions it, and threads it takes part in";
  $("text").placeholder = direct ? "Message the bot" : "Message #" + c.name;
  $("text-label").textContent = $("text").placeholder + " as " + nameOf(world.me);
  $("at").hidden = direct;
  $("hint").textContent = direct ? "Enter sends" : "Write @bot to reach the bot. Enter sends";
  const roots = [...here(c.id).values()].filter((m) => !m.thread_ts).slice(-shown);
  $("messages").replaceChildren(...roots.map((m) => drawMessage(m, c.id, false)));
  $("empty").hidden = roots.length > 0;
  $("empty-hint").textContent = direct ? "Say something to the bot." : "Mention the bot to get an answer: @bot hello";
  $("room-scroll").scrollTop = $("room-scroll").scrollHeight;
};
const drawThread = () => {
  const root = world.thread === undefined ? undefined : here(world.at).get(world.thread);
  $("thread").hidden = root === undefined;
  if (root === undefined) return;
  $("reply-label").textContent = "Reply in this thread as " + nameOf(world.me);
  $("replies").replaceChildren(...[root, ...repliesOf(world.at, root.ts)].map((m) => drawMessage(m, world.at, true)));
  $("thread-scroll").scrollTop = $("thread-scroll").scrollHeight;
};
const drawLink = () => {
  const [state, text] = world.lost ? ["lost", "LocalSlack does not answer"]
    : world.connections > 0 ? ["up", "bot connected" + (world.connections > 1 ? " (" + world.connections + " connections)" : "")]
    : ["down", "bot is down: messages wait"];
  if ($("link").dataset.state === state && $("link").textContent === text) return;
  $("link").dataset.state = state;
  $("link").textContent = text;
};
const drawAll = () => { drawNav(); drawRoom(); drawThread(); drawLink(); };

// --- going places
const enter = (id) => {
  world.at = id;
  world.thread = undefined;
  world.unread.delete(id);
  drawNav(); drawRoom(); drawThread();
};
const openThread = (ts, focus) => {
  world.thread = ts;
  world.opener = ts;
  drawThread();
  if (focus) $("reply").focus();
};
const closeThread = () => {
  world.thread = undefined;
  drawThread();
  const button = [...$("messages").children].find((li) => li.dataset.ts === world.opener);
  (button && button.querySelector("[data-act]") || $("text")).focus();
};

// --- what happens
const announce = (text) => {
  const line = el("p", {}, text);
  $("live").append(line);
  while ($("live").children.length > 5) $("live").firstElementChild.remove();
};
// Bots edit their message while they write it: read it out when it has been still for a while.
const settling = new Map();
const settled = (message) => {
  clearTimeout(settling.get(message.ts));
  settling.set(message.ts, setTimeout(() => {
    settling.delete(message.ts);
    announce(nameOf(message.user) + ", edited: " + plain(message));
  }, 1500));
};
const arrived = (channel, message, fresh) => {
  if (fresh && isBot(message)) busy(channel, "", "");
  if (fresh && message.user !== world.me) {
    const c = world.channels.find((one) => one.id === channel);
    if (c && mine(c)) announce(nameOf(message.user) + ": " + plain(message));
    if (channel !== world.at) world.unread.set(channel, (world.unread.get(channel) || 0) + 1);
  }
  if (channel !== world.at) return drawNav();
  const root = here(channel).get(message.thread_ts || message.ts);
  $("empty").hidden = true;
  if (root) put($("messages"), drawMessage(root, channel, false));
  if (fresh && isBot(message) && root && root.user === world.me && message.thread_ts && !world.thread && innerWidth >= 800) {
    return openThread(root.ts, false);
  }
  if (root && world.thread === root.ts) put($("replies"), drawMessage(message, channel, true));
};
const left = (channel, ts) => {
  const old = here(channel).get(ts);
  here(channel).delete(ts);
  if (channel !== world.at) return;
  for (const id of ["messages", "replies"]) for (const li of [...$(id).children]) if (li.dataset.ts === ts) li.remove();
  if (ts === world.thread) closeThread();
  if (old && old.thread_ts) arrived(channel, here(channel).get(old.thread_ts) || old, false);
};
const whisper = (entry) => {
  if (entry.to !== world.me || entry.channel !== world.at) return;
  const node = drawMessage({ ts: entry.ts, user: world.bot.userId, bot_id: "", text: entry.text }, entry.channel, true);
  node.classList.add("whisper");
  node.querySelector(".by").append(el("span", { class: "edited" }, "only visible to you"));
  $("empty").hidden = true;
  put($("messages"), node);
  announce("Bot, to you only: " + rich(entry.text).textContent);
};
let busyTimer;
const busy = (channel, thread, status) => {
  clearTimeout(busyTimer);
  const visible = status !== "" && channel === world.at;
  for (const id of ["busy", "reply-busy"]) {
    const here = visible && (id === "busy" ? conversation().kind === "im" || world.thread !== thread : world.thread === thread);
    $(id).textContent = here ? "Bot " + status : "";
    $(id).hidden = !here;
  }
  if (visible) busyTimer = setTimeout(() => busy(channel, thread, ""), 120000);
};
const apply = (entry) => {
  if (entry._tag === "ConnectionOpened" || entry._tag === "ConnectionClosed") {
    world.connections = entry.live;
    drawNav();
    return drawLink();
  }
  if (!entry.channel) return;
  if (entry._tag === "EphemeralPosted") return whisper(entry);
  if (entry._tag === "StatusSet") return busy(entry.channel, entry.threadTs, entry.status);
  if (!world.messages.has(entry.channel)) return void refresh();
  if (!entry.message) return left(entry.channel, entry.ts);
  const fresh = !here(entry.channel).has(entry.ts);
  here(entry.channel).set(entry.ts, entry.message);
  arrived(entry.channel, entry.message, fresh && entry._tag === "MessagePosted");
  if (entry._tag === "MessageUpdated" && entry.channel === world.at) settled(entry.message);
};

// --- talking to LocalSlack
const ask = async (path, body) => {
  const response = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return await response.json();
};
let asked = 0;
const refresh = async () => {
  const turn = ++asked;
  try {
    const state = await ask("/_local/state");
    const lists = await Promise.all(state.channels.map((c) => ask("/_local/messages?channel=" + encodeURIComponent(c.id))));
    if (turn !== asked) return;
    world.bot = state.bot; world.people = state.people; world.channels = state.channels; world.connections = state.connections;
    state.channels.forEach((c, i) => world.messages.set(c.id, new Map(lists[i].messages.map((m) => [m.ts, m]))));
    world.lost = false;
    drawAll();
  } catch (_) {
    world.lost = true;
    drawLink();
  }
};
const listen = () => {
  const stream = new EventSource("/_local/stream");
  let waiting = [];
  stream.onopen = async () => {
    waiting = [];
    const held = waiting;
    await refresh();
    if (waiting !== held) return;
    waiting = undefined;
    held.forEach(apply);
  };
  stream.onmessage = (event) => {
    const entry = JSON.parse(event.data);
    if (waiting) waiting.push(entry); else apply(entry);
  };
  stream.onerror = () => { world.lost = true; drawLink(); };
};
const problems = { dispatch_failed: "The command failed: the bot is down.", not_in_channel: "You are not in this conversation.", thread_not_found: "This thread is gone." };
const say = async (field, problem, thread) => {
  const text = field.value.trim();
  if (text === "") return;
  problem.hidden = true;
  field.value = "";
  let error;
  try {
    const from = { channel: world.at, user: world.me };
    const command = thread ? null : /^(\/[\w-]+)(?:\s+([^]*))?$/.exec(text);
    const said = command ? await ask("/_local/commands", { ...from, command: command[1], text: command[2] || "" })
      : await ask("/_local/messages", { ...from, text: typed(text), ...(thread ? { thread_ts: thread } : {}) });
    if (!said.ok) error = problems[said.error] || "Not sent: " + said.error;
  } catch (_) {
    error = "Not sent: LocalSlack does not answer.";
  }
  if (error === undefined) return;
  if (field.value === "") field.value = text;
  problem.textContent = error;
  problem.hidden = false;
};
const compose = (form, field, problem, at, thread) => {
  const send = () => void say(field, problem, thread());
  form.addEventListener("submit", (event) => { event.preventDefault(); send(); field.focus(); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  at.addEventListener("click", () => {
    field.setRangeText("@bot ", field.selectionStart, field.selectionEnd, "end");
    field.focus();
  });
};
compose($("form"), $("text"), $("problem"), $("at"), () => undefined);
compose($("reply-form"), $("reply"), $("reply-problem"), $("reply-at"), () => world.thread);
$("close").addEventListener("click", closeThread);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && world.thread !== undefined) closeThread();
});
for (const input of document.querySelectorAll('input[name="me"]')) {
  input.addEventListener("change", () => {
    const direct = conversation().kind === "im";
    world.me = input.value;
    const own = world.channels.find((c) => c.kind === "im" && c.user === world.me);
    if (direct && own) enter(own.id); else { drawNav(); drawRoom(); drawThread(); }
  });
}
listen();
})();
`
