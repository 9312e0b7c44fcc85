/**
 * ChatPageMarkup: Slack's markup as text nodes, part of the chat page's script.
 *
 * Whatever people or bots wrote becomes text and a few elements made here; an address is a link only when it is http,
 * https or mailto. Nothing is ever parsed as HTML.
 */
export const chatPageMarkup = String.raw`
// --- text: Slack's markup to text nodes
const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const typed = (text) => escape(text).replace(/(^|[^\w@])@(bot|alice|bob)\b/gi, (all, before, name) =>
  before + "<@U0" + name.toUpperCase() + ">");
/* What somebody typed, as they typed it. */
const written = (text) => unescape(text.replace(/<@U0(BOT|ALICE|BOB)>/g, (all, name) => "@" + name.toLowerCase()));
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

`
