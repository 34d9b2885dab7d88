// Calls that wait for the person: one that is to be approved, one that the page's own person runs.

// `call.asked`: call id -> its card, the turn it belongs to, and the answer of which no effect was seen yet.
function ask(event, title, controls) {
  const known = call.asked.get(event.call_id); // an approved call may be for the person to run
  const card = known?.card ?? newCard(event);
  call.asked.set(event.call_id, { card, turn: event.turn_id, frame: null });
  card.classList.add("open");
  card.setAttribute("aria-label", `${title} ${event.name}`);
  card.querySelector("h2").textContent = title;
  card.querySelector(".outcome").textContent = "";
  const form = add(card, "form", "", "");
  controls(form, (frame, told) => answer(event.call_id, frame, told));
  add(card, "p", "hint", "If you say something instead, it is not done.");
  card.scrollIntoView({ block: "nearest" });
}

function newCard(event) {
  const card = add(turnOf(event), "section", "asked", "");
  add(card, "h2", "", "");
  add(card, "p", "name", event.name);
  const list = add(card, "dl", "", "");
  for (const [name, value] of Object.entries(event.arguments ?? {})) {
    add(list, "dt", "", name);
    add(list, "dd", "", typeof value === "string" ? value : JSON.stringify(value, null, 1));
  }
  add(card, "p", "outcome", "").setAttribute("role", "status");
  return card;
}

function approval(form, done) {
  const allow = button(form, "main", "Approve");
  const why = field(form, "input", "Why not? (optional)");
  button(form, "deny", "Deny").type = "submit";
  allow.addEventListener("click", () => done({ type: "tool.approval", approved: true }, "approved"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const reason = why.value.trim();
    const frame = { type: "tool.approval", approved: false };
    done(reason ? { ...frame, reason } : frame, reason ? `denied: ${reason}` : "denied");
  });
}

function result(form, done) {
  const output = field(form, "textarea", "The result, as the agent shall read it");
  button(form, "main", "Send result").type = "submit";
  const failed = button(form, "", "It failed");
  const give = (is_error) => {
    const text = output.value.trim();
    if (!text && !is_error) return output.focus();
    done({ type: "tool.result", output: text || "It failed.", is_error }, (is_error ? "failed: " : "") + (text || "no reason given"));
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); give(false); });
  failed.addEventListener("click", () => give(true));
  output.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); give(false); }
  });
  // Where nothing is being typed, the answer can be.
  if (!$("text").value) output.focus({ preventScroll: true });
}

function button(form, className, text) {
  const node = add(form, "button", className, text);
  node.type = "button";
  return node;
}

function field(form, tag, label) {
  const node = add(form, tag, "", "");
  node.placeholder = label;
  node.maxLength = 16000;
  node.setAttribute("aria-label", label);
  return node;
}

function answer(id, frame, told) {
  if (!call?.ready) return;
  const asked = call.asked.get(id);
  asked.frame = { ...frame, call_id: id };
  send(asked.frame);
  close(asked.card, told);
  // The next answer or the next words; a finger's keyboard stays down until it is wanted.
  if (matchMedia("(pointer: fine)").matches) (document.querySelector(".asked.open textarea") ?? $("text")).focus();
  show();
}

function close(card, told) {
  card.querySelector("form")?.remove();
  card.querySelector(".hint")?.remove();
  card.classList.remove("open");
  card.querySelector(".outcome").textContent = told;
}

// Tells the call's card, if it has one, what became of it.
function settle(id, told) {
  const asked = call.asked.get(id);
  if (!asked) return false;
  const { card } = asked;
  const answered = card.querySelector(".outcome").textContent;
  close(card, [answered, told].filter(Boolean).join(" · "));
  asked.frame = null;
  return true;
}

// What was open in a turn, or in the whole call, is asked no more.
function settleAll(turn) {
  for (const { card, turn: own } of call.asked.values()) {
    if ((turn === undefined || turn === own) && card.classList.contains("open")) close(card, "cancelled");
  }
}

const waiting = () => [...call.asked.values()].some(({ card }) => card.classList.contains("open"));
