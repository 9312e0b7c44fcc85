/**
 * ChatPageScript: what the chat page does, as the text of its one script; its parts are ChatPageMarkup, -Messages, -Lab and
 * -Forms.
 *
 * Keeps the page in step with `/_local/stream`: on every (re)connect it asks for everything, then applies entries as
 * they come. Whatever people or bots wrote reaches the page as text nodes only, never as markup. New messages are read
 * out through one live region, because the lists are redrawn for edits and reply counts that nobody should hear twice.
 */
import { chatPageForms } from "./ChatPageForms.ts"
import { chatPageLab } from "./ChatPageLab.ts"
import { chatPageMarkup } from "./ChatPageMarkup.ts"
import { chatPageMessages } from "./ChatPageMessages.ts"

export const chatPageScript = String.raw`"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const secret = document.querySelector('meta[name="local-secret"]').content;
const shown = 500;
const emoji = { eyes: "👀", "+1": "👍", thumbsup: "👍", "-1": "👎", heart: "❤️", tada: "🎉", rocket: "🚀", wave: "👋", x: "❌",
  white_check_mark: "✅", heavy_check_mark: "✔️", hourglass: "⌛", hourglass_flowing_sand: "⏳", thinking_face: "🤔", warning: "⚠️" };
const world = { bot: { userId: "U0BOT" }, people: [], channels: [], connections: 0, me: "U0ALICE", at: "D0ALICE",
  thread: undefined, opener: undefined, editing: undefined, messages: new Map(), unread: new Map(), ways: new Map(),
  statuses: new Map(), faults: {}, gateway: { running: false, starts: 0 }, hasGateway: false, armed: false, lost: true };

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

${chatPageMarkup}
${chatPageMessages}
// --- drawing
const put = (list, node) => {
  const scroll = list.parentElement;
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const old = [...list.children].find((child) => child.dataset.ts === node.dataset.ts);
  const active = old && old.contains(document.activeElement) ? document.activeElement : undefined;
  const focused = active && active.dataset.act;
  const editing = active && active.dataset.edit && [active.selectionStart, active.selectionEnd];
  const menu = old && old.querySelector("details.more[open]");
  if (menu && node.querySelector("details.more")) node.querySelector("details.more").open = true;
  if (old) old.replaceWith(node);
  else list.insertBefore(node, [...list.children].find((child) => child.dataset.ts > node.dataset.ts) || null);
  const again = focused && [...node.querySelectorAll("[data-act]")].find((one) => one.dataset.act === focused);
  if (again) again.focus();
  const field = editing && node.querySelector("[data-edit]");
  if (field) { field.focus(); field.setSelectionRange(...editing); }
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
  $("empty-hint").textContent = direct
    ? "Say something to the bot." + (world.hasGateway ? " While it answers, kill its gateway: the message survives." : "") : "Mention the bot to get an answer: @bot hello";
  $("room-scroll").scrollTop = $("room-scroll").scrollHeight;
};
const drawThread = () => {
  const root = world.thread === undefined ? undefined : here(world.at).get(world.thread);
  $("thread").hidden = root === undefined;
  if (root === undefined) return;
  $("reply-label").textContent = "Reply in this thread as " + nameOf(world.me);
  $("replies").replaceChildren(...[root, ...repliesOf(world.at, root.ts)].map((m) => drawMessage(m, world.at, true)));
  $("thread-scroll").scrollTop = $("thread-scroll").scrollHeight;
  drawBusy();
};
const drawLink = () => {
  const [state, text] = world.lost ? ["lost", "LocalSlack does not answer"]
    : world.connections > 0 ? ["up", "bot connected" + (world.connections > 1 ? " (" + world.connections + " connections)" : "")]
    : ["down", "bot is down: messages wait"];
  if ($("link").dataset.state === state && $("link").textContent === text) return;
  $("link").dataset.state = state;
  $("link").textContent = text;
};
const redraw = (channel, ts) => {
  const message = here(channel).get(ts);
  if (message === undefined || channel !== world.at) return;
  if (!message.thread_ts) put($("messages"), drawMessage(message, channel, false));
  if (world.thread !== undefined && (world.thread === ts || message.thread_ts === world.thread)) put($("replies"), drawMessage(message, channel, true));
};
const drawBusy = () => {
  const status = world.thread === undefined ? undefined : world.statuses.get(world.at + "/" + world.thread);
  $("reply-busy").textContent = status ? "Bot " + status : "";
  $("reply-busy").hidden = !status;
};
${chatPageLab}
const drawAll = () => { drawNav(); drawRoom(); drawThread(); drawLink(); drawBusy(); drawTrouble(); drawGateway(); };

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
  const node = drawMessage({ whisper: true, ts: entry.ts, user: world.bot.userId, bot_id: "", text: entry.text }, entry.channel, true);
  node.classList.add("whisper");
  node.querySelector(".by").append(el("span", { class: "edited" }, "only visible to you"));
  $("empty").hidden = true;
  put($("messages"), node);
  announce("Bot, to you only: " + rich(entry.text).textContent);
};
const busy = (channel, thread, status) => {
  const key = channel + "/" + thread;
  const before = world.statuses.get(key);
  if (status === "") world.statuses.delete(key); else world.statuses.set(key, status);
  if (status !== "" && !before && channel === world.at) announce("Bot " + status);
  // Slack forgets it after two minutes.
  if (status !== "") setTimeout(() => { if (world.statuses.get(key) === status) busy(channel, thread, ""); }, 120000);
  redraw(channel, thread);
  drawBusy();
};
const apply = (entry) => {
  if (entry._tag === "ConnectionOpened" || entry._tag === "ConnectionClosed") {
    world.connections = entry.live;
    drawNav();
    return drawLink();
  }
  switch (entry._tag) {
    case "FaultsChanged": world.faults = entry.faults; return drawTrouble();
    case "GatewayChanged": world.gateway = { ...world.gateway, phase: "", ...entry.gateway }; return drawGateway();
    case "GatewaySeen": world.gateway.phase = entry.phase; return drawGateway();
    case "GatewaySignalled": world.armed = false; return drawGateway();
    case "WayChanged":
      world.ways.set(entry.way.channel + "/" + entry.way.ts, entry.way);
      return redraw(entry.way.channel, entry.way.ts);
    case "ChannelCreated": return void refresh();
    case "ViewOpened": case "ViewClosed": case "ViewRefused": return views(entry);
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
  const response = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json", "x-local-secret": secret }, body: JSON.stringify(body) });
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
    world.faults = state.faults; world.gateway = { phase: "", ...state.gateway }; world.hasGateway = state.hasGateway; world.armed = state.armed;
    world.dashboardUrl = state.dashboardUrl;
    world.statuses = new Map(state.statuses.map((one) => [one.channel + "/" + one.thread_ts, one.status]));
    world.ways = new Map(state.ways.map((way) => [way.channel + "/" + way.ts, way]));
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
${chatPageForms}
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
