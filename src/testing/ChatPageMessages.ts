/**
 * ChatPageMessages: how one message is drawn, with its blocks, files, reactions and what can be done to it; part of the
 * chat page's script.
 *
 * Of Slack's blocks it knows what people read and press: text, buttons, dividers. What it does not know it leaves out.
 */
export const chatPageMessages = String.raw`
// --- blocks
const plainText = (value) => unescape(value && typeof value.text === "string" ? value.text : "");
const blockText = (value) => value && value.type === "mrkdwn" ? rich(value.text || "") : document.createTextNode(plainText(value));
const blockButton = (message, channel, element) => {
  if (typeof element.url === "string" && /^https?:\/\//i.test(element.url)) {
    return el("a", { class: "press", href: element.url, rel: "noopener noreferrer", target: "_blank" }, plainText(element.text));
  }
  const button = el("button", { type: "button", class: "press " + (element.style === "danger" ? "danger" : element.style === "primary" ? "primary" : ""),
    "data-act": "press-" + element.action_id }, plainText(element.text));
  button.addEventListener("click", () => gesture({ does: "press", channel, ts: message.ts, action_id: String(element.action_id),
    ...(element.value === undefined ? {} : { value: String(element.value) }) }));
  return button;
};
const drawBlocks = (message, channel) => {
  const out = el("div", { class: "blocks" });
  for (const block of Array.isArray(message.blocks) ? message.blocks : []) {
    if (block.type === "section") {
      const accessory = block.accessory && block.accessory.type === "button" ? blockButton(message, channel, block.accessory) : undefined;
      out.append(el("div", { class: "section" }, el("div", { class: "text" }, ...[block.text, ...(block.fields || [])].filter(Boolean).map(blockText)), accessory));
    } else if (block.type === "actions") {
      out.append(el("div", { class: "actions" }, ...(block.elements || []).filter((one) => one.type === "button").map((one) => blockButton(message, channel, one))));
    } else if (block.type === "header") out.append(el("div", { class: "text strong" }, plainText(block.text)));
    else if (block.type === "markdown") out.append(el("div", { class: "text" }, rich(String(block.text || ""))));
    else if (block.type === "context") out.append(el("div", { class: "text small" }, ...(block.elements || []).map(blockText)));
    else if (block.type === "divider") out.append(el("hr"));
  }
  return out;
};
const hasText = (blocks) => Array.isArray(blocks) && blocks.some((block) => ["section", "header", "markdown", "rich_text"].includes(block.type));

// --- one message
const reactionNames = ["+1", "white_check_mark", "eyes", "tada", "heart"];
const sign = (name) => emoji[name.split("::")[0]] || ":" + name + ":";

const drawReaction = (message, channel, reaction) => {
  const mine = reaction.users.includes(world.me);
  const button = el("button", { type: "button", class: "chip", "aria-pressed": String(mine), title: reaction.users.map(nameOf).join(", "),
    "data-act": "reaction-" + reaction.name, "aria-label": reaction.name + ", " + reaction.users.length }, sign(reaction.name) + " " + reaction.users.length);
  button.addEventListener("click", () => gesture({ does: mine ? "unreact" : "react", channel, ts: message.ts, reaction: reaction.name }));
  return button;
};
const drawMore = (message, channel) => {
  const menu = el("div", { class: "menu" });
  for (const name of reactionNames) {
    const button = el("button", { type: "button", "aria-label": "React with " + name }, sign(name));
    button.addEventListener("click", () => { more.open = false; gesture({ does: "react", channel, ts: message.ts, reaction: name }); });
    menu.append(button);
  }
  if (message.user === world.me) {
    const edit = el("button", { type: "button" }, "Edit");
    edit.addEventListener("click", () => startEdit(message, channel));
    const remove = el("button", { type: "button" }, "Delete");
    remove.addEventListener("click", () => gesture({ does: "delete", channel, ts: message.ts }));
    menu.append(edit, remove);
  }
  const more = el("details", { class: "more" }, el("summary", { "aria-label": "React, edit, delete", "data-act": "more" }, "⋯"), menu);
  more.addEventListener("toggle", () => { if (more.open) for (const other of document.querySelectorAll("details.more[open]")) if (other !== more) other.open = false; });
  more.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !more.open) return;
    event.stopPropagation();
    more.open = false;
    more.firstElementChild.focus();
  });
  return more;
};
const startEdit = (message, channel) => {
  world.editing = { channel, ts: message.ts, text: written(message.text) };
  redraw(channel, message.ts);
  const field = document.querySelector("textarea[data-edit]");
  if (field) { field.focus(); field.setSelectionRange(field.value.length, field.value.length); }
};
const drawEdit = (message, channel) => {
  const field = el("textarea", { "data-edit": message.ts, rows: "1", maxlength: "40000", "aria-label": "Edit the message" });
  field.value = world.editing.text;
  const end = () => { world.editing = undefined; redraw(channel, message.ts); $("text").focus(); };
  const save = () => { const text = typed(field.value.trim()); end(); if (text !== "") gesture({ does: "edit", channel, ts: message.ts, text }); };
  field.addEventListener("input", () => { world.editing.text = field.value; });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); end(); }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); save(); }
  });
  const [ok, no] = [el("button", { type: "button", class: "press primary" }, "Save"), el("button", { type: "button", class: "press" }, "Cancel")];
  ok.addEventListener("click", save);
  no.addEventListener("click", end);
  return el("div", { class: "editing" }, field, el("div", { class: "actions" }, ok, no));
};
const drawMessage = (message, channel, inThread) => {
  const at = new Date(Number(message.ts) * 1000);
  const gone = message.user === "USLACKBOT";
  const name = gone ? "Slack" : nameOf(message.user);
  const edits = world.editing && world.editing.channel === channel && world.editing.ts === message.ts;
  const below = el("div", { class: "below" });
  const over = el("div", { class: "over" });
  for (const file of message.files || []) {
    below.append(isBot(message) ? el("a", { class: "chip file", href: "/_local/files/" + encodeURIComponent(file.id), download: file.title }, file.title)
      : el("span", { class: "chip file" }, file.title));
  }
  for (const reaction of message.reactions || []) below.append(drawReaction(message, channel, reaction));
  if (!inThread && !gone) {
    const replies = repliesOf(channel, message.ts);
    const last = replies[replies.length - 1];
    const button = el("button", { type: "button", class: last ? "open" : "open bare", "data-act": "thread" }, ...(last
      ? [el("b", {}, replies.length === 1 ? "1 reply" : replies.length + " replies"), el("span", {}, nameOf(last.user) + ": " + plain(last))]
      : [el("b", {}, "Reply in thread")]));
    button.addEventListener("click", () => openThread(message.ts, true));
    (last ? below : over).append(button);
  }
  if (!gone && !("whisper" in message)) over.append(drawMore(message, channel));
  const status = inThread ? undefined : world.statuses.get(channel + "/" + message.ts);
  const showsText = !hasText(message.blocks) || !isBot(message);
  return el("li", { class: "message", "data-ts": message.ts },
    el("div", { class: "face", "data-who": isBot(message) ? "bot" : message.user, "aria-hidden": "true" }, name.slice(0, 1)),
    el("div", {},
      el("div", { class: "by" }, el("b", {}, name), isBot(message) ? el("span", { class: "tag" }, "bot") : undefined,
        el("time", { datetime: at.toISOString(), title: at.toLocaleString() },
          at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
        message.edited ? el("span", { class: "edited" }, "(edited)") : undefined),
      edits ? drawEdit(message, channel) : undefined,
      !edits && showsText ? el("div", { class: gone ? "text gone" : "text" }, rich(wording(message))) : undefined,
      Array.isArray(message.blocks) && isBot(message) ? drawBlocks(message, channel) : undefined,
      drawWay(world.ways.get(channel + "/" + message.ts)),
      status ? el("p", { class: "busy" }, "Bot " + status) : undefined,
      below.childNodes.length > 0 ? below : undefined, over.childNodes.length > 0 ? over : undefined));
};
`
