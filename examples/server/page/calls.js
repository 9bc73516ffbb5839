// The calls: those that live, kept up to date by events, and those of before.

import { follow, get, post, session } from "./api.js";
import { control } from "./control.js";
import { listen } from "./phone.js";
import { $, attempt, badge, button, clock, el, form, moment, over, parties, plain, text } from "./ui.js";

const mostLive = 100; // cards; the others are counted
const shown = 50; // of those that are over
const live = new Map(); // cards by id
const away = new Map(); // where callers are who are not with their agent
let more = null; // the cursor after the last one shown

// card makes what is shown of a live call. It stays the same element, so that the
// keyboard's place in it is kept.
function card(call) {
  const id = call.call_id;
  const c = {
    call,
    state: el("span"),
    time: el("time"),
    words: el("p", { class: "words" }),
    caller: el("i", { class: "caller" }),
    agent: el("i", { class: "agent" }),
    shares: el("span", { class: "unseen" }),
    hold: button("", () => post(`calls/${id}/${c.call.on_hold ? "resume" : "hold"}`)),
  };
  const name = parties(call);
  const act = (b) => {
    b.setAttribute("aria-label", `${b.textContent}: ${name}`);
    return b;
  };
  c.talking = [act(button("Listen", () => listen(id, name))), c.hold, act(button("More…", () => control(c.call)))];
  c.element = el("li", { "data-call": id },
    el("header", {}, el("a", { href: `#call=${encodeURIComponent(id)}` }, name), c.state, c.time),
    el("p", { class: "muted" }, `${call.direction}, ${call.provider}, agent `, (c.agentName = el("span", {}, call.agent_id))),
    el("div", { class: "talk" }, c.caller, c.agent, c.shares),
    c.words,
    el("div", { class: "acts" }, ...c.talking, act(button("Hang up", () => post(`calls/${id}/disconnect`), { class: "danger" }))),
  );
  return c;
}

// paint brings a card up to date.
function paint(c) {
  const { call } = c;
  const word = away.has(call.call_id) ? `away: ${away.get(call.call_id)}` : call.on_hold ? "on hold" : call.status;
  if (c.state.textContent !== plain(word)) {
    c.state.replaceChildren(badge(word));
  }
  c.element.dataset.status = call.status;
  text(c.agentName, call.agent_id);
  const talks = call.status === "connected" || call.status === "active";
  c.talking.forEach((b) => (b.hidden = !talks));
  text(c.hold, call.on_hold ? "Resume" : "Hold");
  c.hold.setAttribute("aria-label", `${c.hold.textContent}: ${parties(call)}`);
  const { caller_talk_seconds: caller, agent_talk_seconds: agent } = call;
  const all = Math.max(caller + agent, 1);
  c.caller.style.inlineSize = `${(100 * caller) / all}%`;
  c.agent.style.inlineSize = `${(100 * agent) / all}%`;
  text(c.shares, `Caller ${clock(caller)}, agent ${clock(agent)}`);
  tick(c);
}

function tick(c) {
  const from = c.call.started_at ?? c.call.created_at;
  text(c.time, clock((Date.now() - Date.parse(from)) / 1000));
}

// keep shows a live call, or brings it up to date.
function keep(call) {
  const known = live.get(call.call_id);
  if (known) {
    known.call = call;
    paint(known);
    return;
  }
  const c = card(call);
  live.set(call.call_id, c);
  paint(c);
  if (live.size <= mostLive) {
    $("#live").prepend(c.element);
  }
  count();
}

function drop(id) {
  const c = live.get(id);
  if (!c) {
    return;
  }
  const focused = c.element.contains(document.activeElement);
  c.element.remove();
  live.delete(id);
  away.delete(id);
  count();
  if (focused) {
    $("#live-title").focus();
  }
}

function count() {
  text($("#live-count"), String(live.size));
  $("#live-none").hidden = live.size > 0;
  const beyond = live.size - $("#live").children.length;
  text($("#live-more"), beyond > 0 ? `and ${beyond} more` : "");
}

// refresh asks for all live calls.
async function refresh() {
  const { calls } = await get("calls?status=initiated,connecting,connected,active&limit=1000");
  const now = new Set(calls.map((c) => c.call_id));
  [...live.keys()].filter((id) => !now.has(id)).forEach(drop);
  calls.reverse().forEach(keep);
}

// recent lists the newest calls that are over, or those after them.
async function recent(cursor) {
  const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const { calls, next_cursor } = await get(`calls?status=completed,failed,busy,no_answer,canceled&limit=${shown}${after}`);
  const only = $("#only-recorded").checked;
  const rows = calls.filter((c) => !only || c.recorded).map(row);
  const body = $("#recent tbody");
  if (cursor) {
    body.append(...rows);
  } else {
    const focus = document.activeElement?.closest("#recent [data-call]")?.dataset.call;
    body.replaceChildren(...rows);
    focus && $(`[data-call="${CSS.escape(focus)}"] a`, body)?.focus();
  }
  more = next_cursor;
  $("#more").hidden = !more;
  $("#recent-none").hidden = body.children.length > 0;
}

function row(call) {
  const cell = (name, ...content) => el("td", { "data-name": name }, ...content);
  return el("tr", { "data-call": call.call_id },
    cell("", el("a", { href: `#call=${encodeURIComponent(call.call_id)}` }, parties(call))),
    cell("Agent", call.agent_id),
    cell("Began", moment(call.created_at)),
    cell("Length", clock(call.duration)),
    cell("State", badge(call.status), el("small", {}, call.end_reason ? ` ${plain(call.end_reason)}` : "")),
    cell("Recording", call.recorded ? el("span", { class: "recorded" }, "recorded") : "–"),
  );
}

const timers = {};

// soon does something once, for all who want it within a moment.
function soon(name, deed, after = 250) {
  timers[name] ??= setTimeout(() => {
    delete timers[name];
    if (session.token) {
      attempt(deed);
    }
  }, after);
}

// note takes an event of any call.
function note(event) {
  const id = event.call_id;
  const c = live.get(id);
  if (event.type === "reset") {
    soon("live", refresh);
    return;
  }
  if (event.type === "state") {
    if (over.includes(event.status)) {
      drop(id);
      soon("recent", () => recent());
      return;
    }
    if (c) {
      c.call.status = event.status;
      c.call.started_at ??= event.status === "connected" ? event.at : null;
      paint(c);
    } else {
      soon("live", refresh);
    }
    return;
  }
  if (!c) {
    return;
  }
  if (event.type === "transcript" && event.segment.text) {
    c.words.dataset.speaker = event.segment.speaker;
    text(c.words, `${event.segment.speaker}: ${event.segment.text}`);
  } else if (event.type === "hold") {
    c.call.on_hold = event.name === "on";
  } else if (event.type === "recording_pause") {
    c.call.recording_paused = event.name === "on";
  } else if (event.type === "agent_change") {
    c.call.agent_id = event.name;
  } else if (event.type === "move") {
    event.name === "back" || event.name === "declined" ? away.delete(id) : away.set(id, event.name);
  }
  paint(c);
}

let stop = null; // ends following events

// run keeps the calls up to date until forget.
export async function run() {
  stop = new AbortController();
  const { signal } = stop;
  let last = "";
  while (!signal.aborted) {
    await attempt(async () => {
      await follow("events", (event) => {
        last = event.id;
        note(event);
      }, { last, signal, onopen: () => {
        $("#connection").dataset.on = "true";
        text($("#connection"), "Live");
        soon("live", refresh, 0);
        soon("recent", () => recent(), 0);
      } }).catch((error) => {
        if (!signal.aborted) {
          throw error;
        }
      });
    });
    delete $("#connection").dataset.on;
    text($("#connection"), "Not connected");
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

export function forget() {
  stop?.abort();
  [...live.keys()].forEach(drop);
  $("#recent tbody").replaceChildren();
}

form($("#dial"), async ({ to_phone, from_phone, agent_id, record_call }) => {
  await post("calls", { agent_id, to_phone: to_phone.trim(), from_phone: from_phone.trim(), record_call: record_call === "on" });
});
$("#more").addEventListener("click", () => attempt(() => recent(more)));
$("#only-recorded").addEventListener("change", () => attempt(() => recent()));
setInterval(() => {
  live.forEach(tick);
  if (live.size && !document.hidden && session.token) {
    soon("live", refresh, 1000); // how long each has talked
  }
}, 1000);
