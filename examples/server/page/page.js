// The list of calls, kept up to date by server-sent events.

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

function row(call) {
  const tr = element("tr", "", { "data-status": call.status });
  const status = call.end_reason ? `${call.status} (${call.end_reason})` : call.status;
  tr.append(
    element("td", new Date(call.created_at).toLocaleTimeString()),
    element("td", call.direction),
    element("td", call.from_phone),
    element("td", call.to_phone),
    element("td", call.agent_id),
    element("td", status),
    element("td", call.duration),
  );
  const actions = element("td");
  if (over.includes(call.status)) {
    actions.append(button("Details", () => show(call.call_id)));
  } else {
    actions.append(button("Hang up", () => api(`calls/${call.call_id}/disconnect`, { method: "POST" })));
  }
  tr.append(actions);
  return tr;
}

async function list() {
  const { calls } = await json("calls?limit=50");
  $("#calls tbody").replaceChildren(...calls.map(row));
}

async function show(id) {
  shown = id;
  const call = await json(`calls/${id}`);
  if (shown !== id) {
    return;
  }
  $("#call").hidden = false;
  $("#call-title").textContent = `Call ${call.from_phone} → ${call.to_phone}`;
  const audio = $("#call audio");
  audio.hidden = !call.recording_url;
  if (call.recording_url) {
    // The same server may have another name here than for carriers.
    const address = new URL(call.recording_url);
    const path = address.pathname.slice(address.pathname.indexOf("/recordings/") + 1);
    audio.src = path + address.search;
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

// follow reads events until the server ends the stream. EventSource cannot send
// the token.
async function follow() {
  const response = await api("events");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  $("#connection").textContent = "Connected";
  soon();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    if (value.includes("data:")) {
      soon();
    }
  }
}

async function connect() {
  $("#login").hidden = true;
  $("#dial").hidden = false;
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
