/**
 * ChatPageLab: the part of the chat page's script that makes trouble and shows what it does: faults, kills, and the way
 * of each message.
 *
 * A switch is on when what LocalSlack says is on has everything it would set, so that what a test or another page
 * switched is seen here too; what no switch knows is named as it is.
 */
export const chatPageLab = String.raw`
// --- the way of a message
const stepNames = { waiting: "bot is down: waits in Slack", sent: "received", sentAgain: "Slack sends it again", ackLost: "ack lost",
  acked: "stored and acked", handling: "handling", asked: "asked to stop", killed: "killed", ended: "stopped", restarted: "restarted", replied: "reply" };
const span = (ms) => ms < 1000 ? Math.max(0, Math.round(ms)) + " ms" : ms < 60000 ? (ms / 1000).toFixed(1) + " s" : Math.round(ms / 60000) + " min";
const ending = (way) => {
  if (way.settledAt === undefined) return undefined;
  if (way.repeated > 0) return ["bad", way.repeated === 1 ? "a reply came twice" : way.repeated + " replies came twice"];
  if (way.replies === 0) return ["quiet", "no answer needed"];
  return ["good", way.replies === 1 ? "answered once" : way.replies + " replies, each once"];
};
const drawWay = (way) => {
  if (!way) return undefined;
  const began = way.steps[0].at;
  const end = ending(way);
  const troubled = way.steps.some(({ kind }) => ["waiting", "sentAgain", "ackLost", "asked", "killed", "ended"].includes(kind));
  // The plain case is told in a few words.
  const steps = way.steps.filter(({ kind }) => kind !== "written" && (kind !== "replied" || !end) && (troubled || !end || kind === "acked"));
  const items = steps.map(({ kind, at }) => el("li", { "data-kind": kind }, stepNames[kind], el("time", {}, span(at - began))));
  const last = way.steps.filter(({ kind }) => kind === "replied").at(-1);
  if (end) items.push(el("li", { "data-kind": end[0] }, end[1], last ? el("time", {}, span(last.at - began)) : undefined));
  return items.length === 0 ? undefined : el("ol", { class: "way", "aria-label": "What became of this message" }, ...items);
};

// --- faults, in people's words
const switches = [
  { id: "dropAcks", name: "Drop acks", does: "Slack does not hear that the bot has a message, and sends it again.", patch: { dropAcks: true } },
  { id: "lose", name: "Lose events while the bot is away", does: "What is said then never comes; the bot has to look it up.", patch: { deliverWhileDown: false } },
  { id: "refuse", name: "Refuse connections", does: "A bot that is cut off cannot come back.", patch: { refuseWebSocket: true } },
  { id: "silent", name: "Go silent", does: "The connection stays open, and nothing comes through.", patch: { silentPeer: "open" } },
  { id: "limit", name: "Answer 429", does: "Slack takes no posts: “try again in 2 seconds”.", patch: { rateLimit: { method: "chat.postMessage", retryAfterSeconds: 2 } } },
  { id: "slow", name: "Slow API", does: "Every answer of Slack takes 3 seconds.", patch: { delayMs: { method: "*", ms: 3000 } } },
  { id: "after", name: "Reset after commit", does: "A post arrives, and the bot is not told.", patch: { resetAfterCommit: { method: "chat.postMessage" } } },
  { id: "before", name: "Reset before commit", does: "A post is cut off and does not arrive.", patch: { resetBeforeCommit: { method: "chat.postMessage" } } },
  { id: "broken", name: "Answer 503", does: "Slack's API fails, whatever it is asked.", patch: { httpStatus: { method: "*", status: 503 } } },
  { id: "outage", name: "Outage", does: "Slack is gone: no API, no connections.", patch: { apiDown: true, refuseWebSocket: true }, drops: true }
];
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const has = ({ patch }) => Object.entries(patch).every(([key, value]) => same(world.faults[key], value));
/** An outage refuses connections too; that is no second trouble. */
const isOn = (one) => has(one) && !(one.id === "refuse" && "apiDown" in world.faults);
const hidden = new Set(["retryDelaysMs", "echoes", "mentionFirst"]);
const troubles = () => {
  const on = switches.filter(isOn);
  const known = new Set(on.flatMap(({ patch }) => Object.keys(patch)));
  return [...on.map(({ name }) => name), ...Object.keys(world.faults).filter((key) => !known.has(key) && !hidden.has(key))];
};
const lab = async (path, body) => {
  $("lab-problem").hidden = true;
  let error;
  try {
    const answer = await ask(path, body);
    if (!answer.ok) error = problems[answer.error] || "That did not work: " + answer.error;
  } catch (_) {
    error = "LocalSlack does not answer.";
  }
  if (error === undefined) return;
  $("lab-problem").textContent = error;
  $("lab-problem").hidden = false;
};
const flip = (one) => {
  const off = isOn(one);
  const patch = Object.fromEntries(Object.entries(one.patch).map(([key, value]) => [key, off ? null : value]));
  void lab("/_local/faults", patch).then(() => !off && one.drops ? lab("/_local/drop", {}) : undefined);
};
for (const one of switches) {
  const button = el("button", { type: "button", role: "switch", "aria-checked": "false", "data-fault": one.id,
    "aria-labelledby": "fault-" + one.id, "aria-describedby": "does-" + one.id },
    el("span", { class: "words" }, el("b", { id: "fault-" + one.id }, one.name), el("span", { id: "does-" + one.id }, one.does)),
    el("span", { class: "knob", "aria-hidden": "true" }));
  button.addEventListener("click", () => flip(one));
  $("switches").append(el("li", {}, button));
}
const drawTrouble = () => {
  for (const one of switches) document.querySelector('[data-fault="' + one.id + '"]').setAttribute("aria-checked", String(isOn(one)));
  const on = troubles();
  $("trouble").hidden = on.length === 0;
  $("trouble-text").textContent = "Trouble is on: " + on.join(", ");
  $("lab-open").classList.toggle("on", on.length > 0);
  $("lab-count").textContent = on.length > 0 ? String(on.length) : "";
};
const endAll = async () => {
  try { await fetch("/_local/faults", { method: "DELETE", headers: { "x-local-secret": secret } }); } catch (_) { /* the page says so */ }
};
$("trouble-end").addEventListener("click", () => { void endAll(); $("text").focus(); });
$("socket").addEventListener("click", () => void lab("/_local/drop", {}));
$("reconnect").addEventListener("click", () => void lab("/_local/disconnect", { reason: "refresh_requested" }));

// --- the gateway
const gatewayText = () => {
  const { code, pid, phase, running, signal, starts } = world.gateway;
  if (!starts) return "has not started yet";
  if (!running) return (signal ? "killed by " + signal : "ended (" + code + ")") + "; it is started again";
  return (phase === "draining" ? "stopping" : "running") + ", pid " + pid + (starts > 1 ? ", start number " + starts : "");
};
const drawGateway = () => {
  $("gateway").hidden = !world.hasGateway;
  $("gateway-state").textContent = gatewayText();
  $("gateway-state").dataset.state = world.gateway.running ? "up" : "down";
  for (const id of ["term", "kill"]) $(id).disabled = !world.gateway.running;
  $("kill-ack").setAttribute("aria-pressed", String(world.armed));
  $("dashboard").hidden = !world.dashboardUrl;
  if (world.dashboardUrl) $("dashboard").href = world.dashboardUrl;
};
const kill = (signal, when) => void lab("/_local/gateway", { signal, when });
$("term").addEventListener("click", () => kill("SIGTERM", "now"));
$("kill").addEventListener("click", () => kill("SIGKILL", "now"));
$("kill-ack").addEventListener("click", () => {
  world.armed = !world.armed;
  drawGateway();
  kill("SIGKILL", world.armed ? "nextAck" : "never");
});

// --- on a small screen it lies over the rest
const wide = matchMedia("(min-width: 1120px)");
const showLab = (open) => {
  $("lab").classList.toggle("shown", open);
  $("lab-open").setAttribute("aria-expanded", String(open));
  $("app").inert = open && !wide.matches;
  (open ? $("lab-close") : $("lab-open")).focus();
};
$("lab-open").addEventListener("click", () => showLab(true));
$("lab-close").addEventListener("click", () => showLab(false));
wide.addEventListener("change", () => { $("lab").classList.remove("shown"); $("app").inert = false; });
$("lab").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $("lab").classList.contains("shown")) { event.stopPropagation(); showLab(false); }
});
`
