// The list of calls, kept up to date by server-sent events.

import { Softphone } from "./softphone.js";

const $ = (selector) => document.querySelector(selector);
const tokenKey = "switchboard-token";
let token = sessionStorage.getItem(tokenKey);
let shown = null; // the id of the call whose details are shown

// api asks the server, and throws what it says is wrong.
async function api(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...options.headers };
  const response = await fetch(`api/${path}`, { ...options, headers });
  if (response.status === 401) {
    logout();
  }
  if (!response.ok) {
    const problem = await response.json();
    throw new Error(problem.detail || problem.title);
  }
  return response;
}

const json = async (path, options) => (await api(path, options)).json();

// attempt does something and shows what went wrong.
async function attempt(deed) {
  const problem = $("#problem");
  try {
    await deed();
    problem.hidden = true;
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function element(name, text = "", attributes = {}) {
  const e = document.createElement(name);
  e.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    e.setAttribute(key, value);
  }
  return e;
}

function button(text, deed) {
  const b = element("button", text, { type: "button" });
  b.addEventListener("click", () => attempt(deed));
  return b;
}

const over = ["ending", "completed", "failed", "busy", "no_answer", "canceled"];
const away = new Map(); // where callers are who are not with their agent, by call

// post does something to a call.
const post = (id, deed, body) =>
  api(`calls/${id}/${deed}`, {
    method: "POST",
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });

function state(call) {
  if (call.end_reason) {
    return `${call.status} (${call.end_reason})`;
  }
  if (away.has(call.call_id)) {
    return `${call.status}, away: ${away.get(call.call_id)}`;
  }
  return call.on_hold ? `${call.status}, on hold` : call.status;
}

// title names a call; one from a browser has no numbers.
const title = (call) => `Call ${call.from_phone || call.provider} → ${call.to_phone || call.agent_id}`;

function row(call) {
  const id = call.call_id;
  const tr = element("tr", "", { "data-status": call.status, "data-held": call.on_hold, "data-away": away.has(id) });
  tr.append(
    element("td", new Date(call.created_at).toLocaleTimeString()),
    element("td", call.direction),
    element("td", call.from_phone || call.provider),
    element("td", call.to_phone),
    element("td", call.agent_id),
    element("td", state(call)),
    element("td", call.duration),
  );
  const actions = element("td");
  if (call.status === "connected" || call.status === "active") {
    const hold = call.on_hold ? button("Resume", () => post(id, "resume")) : button("Hold", () => post(id, "hold"));
    actions.append(hold, button("More…", () => control(call)));
  }
  if (!over.includes(call.status)) {
    actions.append(button("Hang up", () => post(id, "disconnect")));
  }
  actions.append(button("Details", () => show(id)));
  for (const [i, b] of [...actions.children].entries()) {
    b.dataset.focus = `${id} ${i}`;
    b.setAttribute("aria-label", `${b.textContent}: ${title(call)}`);
  }
  tr.append(actions);
  return tr;
}

// control opens the dialog for what needs more than one button.
let controlled = null; // the id of the call that it is about
function control(call) {
  controlled = call.call_id;
  $("#control-title").textContent = title(call);
  $("#control-problem").hidden = true;
  $("#control").showModal();
}

// submit does something to the call of the dialog, which stays open if it fails.
function submit(form, deed) {
  $(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = $("#control-problem");
    try {
      await deed();
      $("#control").close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
  });
}

submit("#transfer", () => {
  const body = { to_phone: $("#target").value.trim() };
  if ($("#warm").checked) {
    body.warm = true;
    body.announce = $("#announce").value;
  }
  return post(controlled, "transfer", body);
});
submit("#hand-over", () => post(controlled, "transfer", { agent_id: $("#other-agent").value }));
submit("#keys", () => post(controlled, "dtmf", { digits: $("#digits").value }));
$("#warm").addEventListener("change", () => {
  $("#announce").disabled = !$("#warm").checked;
});

async function list() {
  const { calls } = await json("calls?limit=50");
  const focus = document.activeElement?.dataset.focus; // survives the new rows
  $("#calls tbody").replaceChildren(...calls.map(row));
  if (focus) {
    document.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
  }
  if (calls.some((call) => call.call_id === shown)) {
    await show(shown);
  }
}

async function show(id) {
  shown = id;
  const call = await json(`calls/${id}`);
  if (shown !== id) {
    return;
  }
  $("#call").hidden = false;
  $("#call-title").textContent = title(call);
  const audio = $("#call audio");
  audio.hidden = !call.recording_url;
  if (call.recording_url) {
    // The same server may have another name here than for carriers.
    const address = new URL(call.recording_url);
    const path = address.pathname.slice(address.pathname.indexOf("/recordings/") + 1);
    const source = path + address.search;
    if (audio.dataset.path !== path) { // a new signature is no reason to play anew
      audio.dataset.path = path;
      audio.src = source;
    }
  }
  $("#call ol").replaceChildren(
    ...call.transcript.map((s) => element("li", `${s.timestamp} ${s.speaker}: ${s.text}`)),
  );
}

// soon lists the calls, once for all events that come close together.
let waiting = false;
function soon() {
  if (!waiting) {
    waiting = true;
    setTimeout(() => {
      waiting = false;
      attempt(list);
    }, 200);
  }
}

// note takes an event.
function note(event) {
  if (event.type === "move") {
    if (event.name === "back") {
      away.delete(event.call_id);
    } else {
      away.set(event.call_id, event.name);
    }
  }
  if (over.includes(event.status)) {
    away.delete(event.call_id);
  }
  soon();
}

// follow reads events until the server ends the stream. EventSource cannot send
// the token.
async function follow() {
  const response = await api("events");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  $("#connection").textContent = "Connected";
  soon();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((l) => l.startsWith("data: "))) {
      note(JSON.parse(line.slice("data: ".length)));
    }
  }
}

// talk calls an agent from this page.
let phone = null;
async function talk() {
  const { ticket } = await json("tickets", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ agent_id: $("#talk-agent").value, record_call: true }),
  });
  phone = new Softphone();
  phone.onlevels = (spoken, heard) => {
    $("#spoken").value = spoken;
    $("#heard").value = heard;
  };
  phone.onend = () => {
    phone = null;
    $("#phone").hidden = true;
    $("#talk-start").disabled = false;
    $("#talk-start").focus();
  };
  $("#talk-start").disabled = true;
  try {
    await phone.start(ticket);
  } catch (error) {
    phone = null;
    $("#talk-start").disabled = false;
    throw error;
  }
  $("#phone-mute").setAttribute("aria-pressed", "false");
  $("#phone").hidden = false;
  $("#phone-stop").focus();
}

$("#talk").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(talk);
});
$("#phone-stop").addEventListener("click", () => phone?.stop());
$("#phone-mute").addEventListener("click", ({ target }) => {
  phone.muted = !phone.muted;
  target.setAttribute("aria-pressed", phone.muted);
});
for (const digit of "123456789*0#") {
  const key = element("button", digit, { type: "button" });
  key.addEventListener("click", () => phone?.key(digit));
  $("#keypad").append(key);
}

async function connect() {
  $("#login").hidden = true;
  $("#dial").hidden = false;
  $("#talk").hidden = false;
  $("#calls").hidden = false;
  while (token) {
    await attempt(follow);
    $("#connection").textContent = "Not connected";
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

function logout() {
  token = null;
  sessionStorage.removeItem(tokenKey);
  $("#login").hidden = false;
  $("#dial").hidden = true;
  $("#talk").hidden = true;
  phone?.stop();
  $("#calls").hidden = true;
  $("#call").hidden = true;
}

$("#login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("#token").value.trim();
  sessionStorage.setItem(tokenKey, token);
  connect();
});

$("#dial").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() =>
    json("calls", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        agent_id: $("#agent").value,
        to_phone: $("#to").value,
        from_phone: $("#from").value,
        record_call: true,
      }),
    }),
  );
});

if (token) {
  connect();
} else {
  logout();
}
