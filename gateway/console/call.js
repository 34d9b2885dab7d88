// The call: its socket, what the gateway tells, what the person does.

const RETRY_MS = [200, 500, 1000, 2000, 4000];
const FINAL = {
  1003: "the gateway refused a frame", 1009: "the message was too long", 4401: "the credentials have expired",
  4408: "the call was idle for too long", 4409: "the call was taken over by another page", 4429: "too many messages",
};
const $ = (id) => document.getElementById(id);
const log = $("log");
// `call` is the session, which outlives its sockets; null when hung up.
let call = null;

function add(parent, tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  parent.append(node);
  if (atEnd) log.scrollTop = log.scrollHeight;
  return node;
}
const note = (text, error) => add(log, "div", error ? "note error" : "note", text);
const chars = (text) => [...text].length; // code points, as the protocol counts

function show() {
  const open = call?.ready === true;
  const asks = open && waiting();
  $("state").textContent = !call ? "not connected" : !open ? "connecting …"
    : asks ? `${call.agent} waits for your answer` : `in a call with ${call.agent}`;
  $("state").className = !call ? "" : !open ? "trying" : asks ? "asks" : "on";
  $("call").textContent = call ? "Hang up" : "Call";
  $("send").disabled = !open;
  $("interrupt").disabled = !(open && call.live && !call.interrupted);
}

// ---- the connection ----

function begin() {
  const agent = $("agent").value.trim() || "demo";
  call = {
    agent, user: $("user").value.trim(), token: $("token").value.trim(), prefix: Math.random().toString(36).slice(2, 8),
    sent: 0, resume: null, lastSeq: 0, tries: 0, pending: null, turns: new Map(), asked: new Map(), live: null, shown: 0, interrupted: false,
    ready: false, socket: null, timer: 0,
  };
  dial();
}

function dial() {
  const own = call;
  const query = new URLSearchParams();
  if (own.user) query.set("user", own.user);
  if (own.token) query.set("token", own.token);
  if (own.resume) { query.set("resume", own.resume); query.set("last_seq", own.lastSeq); }
  const base = location.origin.replace(/^http/, "ws");
  const socket = new WebSocket(`${base}/v1/agents/${encodeURIComponent(own.agent)}/session?${query}`, "voice.v1");
  own.socket = socket;
  own.ready = false;
  show();
  socket.onmessage = (message) => { if (call === own) take(JSON.parse(message.data)); };
  socket.onclose = (close) => { if (call === own && own.socket === socket) dropped(close); };
}

function dropped(close) {
  const wasReady = call.ready;
  call.ready = false;
  if (close.code === 1000 || FINAL[close.code]) return end(FINAL[close.code] || "the call has ended", close.code !== 1000);
  if (!call.resume) return explain();
  if (wasReady) { call.tries = 0; note("connection lost, trying again"); }
  if (call.tries === RETRY_MS.length) return end("the connection is lost", true);
  // A browser does not tell 410 from a gateway that is away: after two tries the session counts as gone.
  if (call.tries === 2) { call.resume = null; call.lastSeq = 0; call.live = null; call.pending = null; settleAll(); call.asked.clear(); }
  const own = call;
  call.timer = setTimeout(() => { if (call === own) dial(); }, RETRY_MS[call.tries++]);
  show();
}

// Nor does it tell why a first attempt was refused; plain HTTP does.
async function explain() {
  const own = call;
  const headers = own.token ? { Authorization: `Bearer ${own.token}` } : {};
  let why = "the gateway cannot be reached";
  try {
    const ready = await fetch("/readyz");
    const agent = await fetch(`/v1/agents/${encodeURIComponent(own.agent)}`, { headers });
    if (agent.status === 401 || agent.status === 403) $("token-field").hidden = false;
    why = !ready.ok ? (await ready.json()).detail || "the gateway is not ready"
      : agent.status === 401 ? (own.token ? "the client token is not valid (any more)" : "this gateway needs a client token, which POST /v1/client_tokens makes")
      : agent.status === 403 ? "the client token is for another agent"
      : agent.status === 404 ? `there is no agent named ${own.agent}`
      : "the gateway refused the call";
  } catch { /* `why` stands */ }
  if (call === own) end(why, true);
}

function end(text, error) {
  if (text) note(text, error);
  clearTimeout(call.timer);
  for (const turn of call.turns.values()) turn.classList.remove("live");
  settleAll();
  const socket = call.socket;
  call = null;
  socket.close();
  show();
}

function send(frame) {
  if (call.socket.readyState === WebSocket.OPEN) call.socket.send(JSON.stringify(frame));
}

// ---- what the gateway tells ----

function take(event) {
  if (typeof event.seq === "number") {
    if (event.seq <= call.lastSeq) return;
    call.lastSeq = event.seq;
  }
  (handlers[event.type] || (() => {}))(event);
  if (call) show();
}

const turnOf = (event) => {
  if (!call.turns.has(event.turn_id)) call.turns.set(event.turn_id, add(log, "div", "turn", ""));
  return call.turns.get(event.turn_id);
};

const handlers = {
  "session.ready"(event) {
    const again = call.resume === null && call.tries > 0;
    if (again) note("the call could not be resumed, this is a new one");
    call.resume = event.resume_token;
    call.ready = true;
    call.tries = 0;
    // Unanswered words may have been lost with the socket; their turn id makes sending them again harmless.
    if (call.pending) send(call.pending);
    for (const { frame } of call.asked.values()) if (frame) send(frame);
    call.pair = { agent: event.agent_id ?? call.agent, user: event.user ?? call.user };
    recall("");
  },
  "turn.started"(event) {
    turnOf(event).classList.add("live");
    call.live = event.turn_id;
    call.shown = 0;
    call.interrupted = false;
  },
  "speech.delta"(event) {
    const turn = turnOf(event);
    const last = turn.lastElementChild;
    const piece = last?.className === event.kind ? last : add(turn, "p", event.kind, "");
    piece.append(event.text);
    log.scrollTop = log.scrollHeight;
    if (event.turn_id === call.live) call.shown += chars(event.text);
  },
  "approval.request"(event) { ask(event, "May the agent do this?", approval); },
  "tool.request"(event) { ask(event, "The agent asks you to do this", result); },
  "tool.started"(event) {
    if (!call.asked.has(event.call_id)) add(turnOf(event), "p", "tool", `${event.name} ${JSON.stringify(event.arguments)}`);
  },
  "tool.finished"(event) {
    // What was denied or cancelled before it began took no time, and the card has told that it was denied.
    const told = [event.status, event.duration_ms && ms(event.duration_ms)].filter(Boolean).join(", ");
    if (!settle(event.call_id, event.status === "denied" ? "" : told)) add(turnOf(event), "p", "tool", `${event.name}: ${told}`);
  },
  "turn.spoken"(event) {
    // What is on the screen is as good as heard.
    if (call.live === event.turn_id && call.shown && !call.interrupted) send({ type: "playback", turn_id: event.turn_id, done: true });
    if (call.live === event.turn_id) call.live = null;
    turnOf(event).classList.remove("live");
  },
  "turn.ended"(event) {
    if (!call.turns.has(event.turn_id)) return; // of an earlier session
    const turn = turnOf(event);
    if (call.live === event.turn_id) call.live = null;
    if (call.pending?.turn_id === event.turn_id) call.pending = null;
    turn.classList.remove("live");
    settleAll(event.turn_id);
    if (turn.querySelector(".ending")) return;
    if (event.reason === "interrupted") turn.classList.add("interrupted");
    else if (event.reason !== "end_turn") turn.classList.add("failed");
    const ending = add(turn, "div", "ending", "");
    add(ending, "b", "", event.reason.replaceAll("_", " "));
    ending.append(timing(event.latency || {}));
  },
  "memory.updated"(event) {
    const what = event.labels.join(", ");
    recall(`${what ? `new: ${what}` : "up to date"} · ${ms(event.lag_ms)}`);
  },
  "session.going_away"() { note("this gateway is going away, the call moves"); },
  "session.ended"(event) { end(`the call has ended (${event.reason})`); },
  "error"(event) {
    note(`${event.code}: ${event.message}`, true);
    if (!event.turn_id && !call.live) call.pending = null;
  },
};

const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)}\u00a0s` : `${Math.round(value)}\u00a0ms`);

function timing(latency) {
  const parts = [["first words", latency.first_speech], ["total", latency.total], ["gateway", latency.gateway]];
  return parts.filter(([, value]) => typeof value === "number").map(([name, value]) => ` · ${name} ${ms(value)}`).join("");
}

// ---- what the person does ----

function interrupt() {
  if (!call?.ready || !call.live || call.interrupted) return;
  call.interrupted = true;
  send({ type: "user.interrupt", turn_id: call.live, heard: { chars: call.shown } });
  show();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !call?.ready) return;
  $("text").value = "";
  // Typing over the agent is a barge-in; the mark says how much of it was on the screen.
  if (call.live && call.shown && !call.interrupted) send({ type: "playback", turn_id: call.live, chars: call.shown });
  call.pending = { type: "user.text", text, turn_id: `${call.prefix}-${++call.sent}` };
  add(log, "div", "user", text);
  log.scrollTop = log.scrollHeight;
  send(call.pending);
});
$("interrupt").addEventListener("click", () => { interrupt(); $("text").focus(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") interrupt(); });
$("call").addEventListener("click", () => {
  if (!call) { begin(); $("text").focus(); return; }
  send({ type: "session.end" });
  end("you hung up");
});
for (const id of ["agent", "user", "token"]) {
  $(id).addEventListener("change", () => { if (call) { send({ type: "session.end" }); end(""); } begin(); });
}

const given = new URLSearchParams(location.search);
for (const id of ["agent", "user"]) if (given.get(id)) $(id).value = given.get(id);
fetch("/v1/agents").then((reply) => (reply.ok ? reply.json() : { items: [] })).then(({ items }) => {
  for (const agent of items) { const option = document.createElement("option"); option.value = agent.id; $("agents").append(option); }
}).catch(() => {}); // only suggestions: any name can be typed
begin();
