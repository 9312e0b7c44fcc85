/**
 * ChatPageForms: where people write: the two message fields with their list of mentions, files, modals, a new channel;
 * part of the chat page's script.
 */
export const chatPageForms = String.raw`
// --- message fields
const problems = { dispatch_failed: "The bot is down: Slack cannot pass this on.", not_in_channel: "You are not in this conversation.",
  thread_not_found: "This thread is gone.", no_gateway: "This page has no gateway to signal.", gateway_not_running: "The gateway does not run at this moment.",
  name_taken: "There is a channel with this name.", invalid_name: "Small letters, digits, - and _, please." };
const complain = (problem, text) => { problem.textContent = text || ""; problem.hidden = !text; };
const gesture = async (what) => {
  const problem = world.thread === undefined ? $("problem") : $("reply-problem");
  complain(problem);
  try {
    const done = await ask("/_local/gestures", { ...what, user: world.me });
    if (!done.ok) complain(problem, problems[done.error] || "That did not work: " + done.error);
    return done.ok;
  } catch (_) {
    complain(problem, "LocalSlack does not answer.");
    return false;
  }
};
const say = async (field, problem, thread, files) => {
  const text = field.value.trim();
  if (text === "" && files.length === 0) return false;
  complain(problem);
  field.value = "";
  let error;
  try {
    const from = { channel: world.at, user: world.me };
    const command = thread ? null : /^(\/[\w-]+)(?:\s+([^]*))?$/.exec(text);
    const said = command ? await ask("/_local/commands", { ...from, command: command[1], text: command[2] || "" })
      : await ask("/_local/messages", { ...from, text: typed(text), ...(thread ? { thread_ts: thread } : {}), ...(files.length > 0 ? { files } : {}) });
    if (!said.ok) error = problems[said.error] || "Not sent: " + said.error;
  } catch (_) {
    error = "Not sent: LocalSlack does not answer.";
  }
  if (error === undefined) return true;
  if (field.value === "") field.value = text;
  complain(problem, error);
  return false;
};
const people = () => [{ id: world.bot.userId, handle: "bot", name: "the bot" },
  ...world.people.map((p) => ({ id: p.id, handle: p.name, name: p.realName }))];
const mentions = (field, list) => {
  let found = [];
  let at = 0;
  const close = () => { found = []; draw(); };
  const draw = () => {
    list.hidden = found.length === 0;
    list.replaceChildren(...found.map((one, i) => {
      const option = el("li", { role: "option", id: list.id + "-" + i, "aria-selected": String(i === at) }, el("b", {}, "@" + one.handle), " " + one.name);
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); at = i; take(); });
      return option;
    }));
    if (found.length > 0) field.setAttribute("aria-activedescendant", list.id + "-" + at);
    else field.removeAttribute("aria-activedescendant");
  };
  const look = () => {
    const begun = /(?:^|[\s(])@(\w*)$/.exec(field.value.slice(0, field.selectionStart));
    found = begun ? people().filter((one) => one.handle.startsWith(begun[1].toLowerCase())) : [];
    at = 0;
    draw();
  };
  const take = () => {
    const before = field.value.slice(0, field.selectionStart).replace(/@\w*$/, "");
    field.setRangeText("@" + found[at].handle + " ", before.length, field.selectionStart, "end");
    close();
  };
  field.addEventListener("input", look);
  field.addEventListener("blur", close);
  return (event) => {
    if (found.length === 0) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") at = (at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
    else if (event.key === "Enter" || event.key === "Tab") take();
    else if (event.key === "Escape") { event.stopPropagation(); close(); }
    else return false;
    event.preventDefault();
    draw();
    return true;
  };
};
const compose = (prefix, thread) => {
  const [form, field, problem] = [$(prefix + "form"), $(prefix === "" ? "text" : "reply"), $(prefix + "problem")];
  const [file, chosen] = [$(prefix + "file"), $(prefix + "files")];
  const key = mentions(field, $(prefix + "mentions"));
  const show = () => {
    chosen.replaceChildren(...[...file.files].map((one) => el("li", { class: "chip file" }, one.name)));
    chosen.hidden = file.files.length === 0;
  };
  const send = async () => {
    const files = [...file.files].map((one) => one.name.slice(0, 200));
    file.value = "";
    show();
    await say(field, problem, thread(), files);
  };
  file.addEventListener("change", () => { show(); field.focus(); });
  $(prefix + "attach").addEventListener("click", () => file.click());
  form.addEventListener("submit", (event) => { event.preventDefault(); void send(); field.focus(); });
  field.addEventListener("keydown", (event) => {
    if (key(event) || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void send();
  });
  $(prefix + "at").addEventListener("click", () => {
    field.setRangeText("@bot ", field.selectionStart, field.selectionEnd, "end");
    field.focus();
  });
};
compose("", () => undefined);
compose("reply-", () => world.thread);

// --- modals
let modal;
let impatient;
const control = (element, label) => {
  const shared = { "aria-label": label, "data-action": element.action_id, "data-type": element.type };
  if (element.type === "static_select" || element.type === "radio_buttons") {
    const select = el("select", shared, el("option", { value: "" }, plainText(element.placeholder) || "Choose…"));
    (element.options || []).forEach((option, i) => select.append(el("option", { value: String(i) }, plainText(option.text))));
    if (element.initial_option) select.value = String((element.options || []).findIndex((one) => one.value === element.initial_option.value));
    return select;
  }
  const kind = { datepicker: "date", number_input: "number", email_text_input: "email" }[element.type] || "text";
  const input = element.multiline ? el("textarea", { ...shared, rows: "3" }) : el("input", { ...shared, type: kind, autocomplete: "off" });
  input.value = element.initial_value || element.initial_date || "";
  const hint = plainText(element.placeholder);
  if (hint) input.placeholder = hint;
  return input;
};
const showModal = (view) => {
  modal = view;
  clearTimeout(impatient);
  $("modal-title").textContent = plainText(view.title) || "Modal";
  $("modal-send").textContent = plainText(view.submit) || "Submit";
  $("modal-send").hidden = !view.submit && !view.blocks.some((block) => block.type === "input");
  $("modal-cancel").textContent = plainText(view.close) || "Cancel";
  $("modal-send").disabled = false;
  complain($("modal-problem"));
  $("modal-blocks").replaceChildren(...view.blocks.map((block, i) => {
    if (block.type !== "input" || !block.element) return drawBlocks({ ts: "", blocks: [block] }, world.at);
    const label = plainText(block.label);
    const hint = plainText(block.hint);
    const field = control(block.element, label);
    if (!block.optional) field.required = true;
    field.dataset.block = block.block_id || "b" + i;
    return el("div", { class: "field" }, el("span", { class: "label", "aria-hidden": "true" }, label + (block.optional ? " (optional)" : "")), field,
      hint ? el("small", {}, hint) : undefined, el("p", { class: "error", "data-error": field.dataset.block, role: "alert", hidden: "" }));
  }));
  if (!$("modal").open) $("modal").showModal();
};
const closeModal = () => { clearTimeout(impatient); modal = undefined; $("modal").close(); };
const filledIn = () => {
  const values = {};
  for (const field of $("modal-blocks").querySelectorAll("[data-action]")) {
    const { action, block, type } = field.dataset;
    const element = modal.blocks.flatMap((one) => one.element || []).find((one) => one.action_id === action) || {};
    const chosen = (element.options || [])[Number(field.value)];
    values[block] = { [action]: field.tagName === "SELECT" ? { type, selected_option: field.value === "" ? null : chosen }
      : type === "datepicker" ? { type, selected_date: field.value || null } : { type, value: field.value || null } };
  }
  return values;
};
$("modal-form").addEventListener("submit", (event) => {
  event.preventDefault();
  complain($("modal-problem"));
  for (const line of $("modal-blocks").querySelectorAll("[data-error]")) complain(line);
  $("modal-send").disabled = true;
  const late = (text) => { $("modal-send").disabled = false; complain($("modal-problem"), text); };
  // As Slack: three seconds.
  impatient = setTimeout(() => late("The bot did not answer in time. Try again?"), 3000);
  ask("/_local/gestures", { does: "submit", user: world.me, view: { ...modal, state: { values: filledIn() } } }).then((done) => {
    if (done.ok) return;
    clearTimeout(impatient);
    late(problems[done.error] || "That did not work: " + done.error);
  }, () => late("LocalSlack does not answer."));
});
$("modal").addEventListener("cancel", (event) => { event.preventDefault(); $("modal-cancel").click(); });
$("modal-cancel").addEventListener("click", () => {
  if (modal && modal.notify_on_close) void gesture({ does: "close", view: modal });
  closeModal();
});
const views = (entry) => {
  if (entry.to !== world.me) return;
  if (entry._tag === "ViewOpened" && entry.shows) return showModal(entry.shows);
  if (!modal || modal.id !== entry.view) return;
  if (entry._tag === "ViewClosed") return closeModal();
  clearTimeout(impatient);
  $("modal-send").disabled = false;
  for (const [block, text] of Object.entries(entry.errors || {})) {
    const line = [...$("modal-blocks").querySelectorAll("[data-error]")].find((one) => one.dataset.error === block);
    complain(line || $("modal-problem"), String(text));
  }
};

// --- a new channel
$("new-channel").addEventListener("click", () => { complain($("channel-problem")); $("channel-name").value = ""; $("channel").showModal(); });
$("channel-cancel").addEventListener("click", () => $("channel").close());
$("channel-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const made = await ask("/_local/channels", { name: $("channel-name").value.trim().replace(/^#/, "") });
    if (!made.ok) return complain($("channel-problem"), problems[made.error] || made.error);
    $("channel").close();
    await refresh();
    enter(made.channel);
    $("text").focus();
  } catch (_) {
    complain($("channel-problem"), "LocalSlack does not answer.");
  }
});
`
