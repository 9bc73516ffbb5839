// One call: what happened when, what was said, and how it sounded.

import { api, follow, get, post } from "./api.js";
import { control } from "./control.js";
import { listen } from "./phone.js";
import { $, attempt, badge, button, clock, el, moment, over, parties, plain, text } from "./ui.js";
import { decode, draw, measure, mostBytes, replies } from "./wave.js";

const view = $("#call");
const audio = $("#call audio");
const canvas = $("#wave");
const seek = $("#seek");
const play = $("#play");

let id = null; // of the call that is shown
let stop = null; // ends following its events
let call = null;
let events = [];
let said = []; // { from, to, speaker, words }, in seconds
let recording = null; // { created_at, … }, once there is one
let sides = []; // of the recording, measured

// show shows a call, until it is hidden again.
export async function show(which) {
  hide();
  id = which;
  stop = new AbortController();
  const { signal } = stop;
  view.hidden = false;
  for (const e of view.querySelectorAll("[data-empty]")) {
    e.replaceChildren();
  }
  $("#sound").hidden = true;
  await refresh(signal);
  $("#call-title").focus();
  try {
    await follow(`calls/${id}/events`, (event) => note(event, signal), { signal });
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}

export function hide() {
  stop?.abort();
  id = call = recording = null;
  events = [];
  said = [];
  sides = [];
  audio.pause();
  audio.removeAttribute("src");
  view.hidden = true;
}

async function refresh(signal) {
  const fresh = await get(`calls/${id}`);
  if (signal.aborted) {
    return;
  }
  call = fresh;
  paint();
  if (!over.includes(call.status) || call.status === "ending") {
    return;
  }
  const vtt = await (await api(`calls/${id}/transcript?format=vtt`)).text();
  if (signal.aborted) {
    return;
  }
  said = subtitles(vtt);
  paintTranscript();
  if (call.recording_url && !recording) {
    await hear(signal);
  }
}

// hear fetches the recording, and draws it if it is not too long.
async function hear(signal) {
  const kept = await get(`calls/${id}/recording`);
  // The same server may have another name here than for carriers.
  const address = new URL(kept.recording_url);
  const own = /\/(?:recordings|spool)\/.*$/.exec(address.pathname);
  const source = own ? own[0].slice(1) + address.search : kept.recording_url;
  if (signal.aborted) {
    return;
  }
  recording = kept;
  $("#download").href = source;
  $("#sound").hidden = false;
  $("#sound").dataset.elsewhere = !own; // in a bucket, which this page may not reach
  if (own) {
    audio.src = source;
  }
  seek.max = kept.duration;
  if (own && kept.size_bytes <= mostBytes) {
    const wav = decode(await (await fetch(source, { signal })).arrayBuffer());
    sides = wav.sides.map((side) => measure(side, wav.rate));
    recording.length = wav.sides[0].length / wav.rate;
    seek.max = recording.length;
  }
  paint();
}

// subtitles reads WebVTT as the server writes it.
function subtitles(vtt) {
  const seconds = (t) => t.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return vtt.split("\n\n").flatMap((cue) => {
    const found = /([\d:.]+) --> ([\d:.]+)[^\n]*\n<v ([^>]*)>([^]*)/.exec(cue);
    if (!found) {
      return [];
    }
    const words = new DOMParser().parseFromString(found[4].replaceAll("</v>", ""), "text/html").body.textContent;
    return [{ from: seconds(found[1]), to: seconds(found[2]), speaker: found[3].toLowerCase(), words: words.trim() }];
  });
}

let waiting = null;

function note(event, signal) {
  if (signal.aborted) {
    return;
  }
  events.push(event);
  if (event.type === "transcript" && event.segment.text) {
    const { speaker, text: words, timestamp } = event.segment;
    const from = timestamp.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
    const known = said.find((s) => s.key && s.key === event.segment.id);
    if (known) {
      known.words = words;
    } else if (!call || !over.includes(call.status)) {
      said.push({ from, to: from + 2, speaker, words, key: event.segment.id });
    }
  }
  waiting ??= setTimeout(() => {
    waiting = null;
    if (!signal.aborted) {
      attempt(() => refresh(signal));
      paintTranscript();
    }
  }, 200);
}

// started is when the clock of the call began.
function started() {
  if (recording) {
    return Date.parse(recording.created_at);
  }
  const active = events.find((e) => e.status === "active") ?? events.find((e) => e.status === "connected") ?? events[0];
  return Date.parse(active?.at ?? call.created_at);
}

const since = (event) => (Date.parse(event.at) - started()) / 1000;

function length() {
  const last = events.length ? since(events.at(-1)) : 0;
  return recording?.length ?? Math.max(recording?.duration ?? 0, last, 1);
}

function paint() {
  text($("#call-title"), parties(call));
  $("#call-state").replaceChildren(badge(call.status));
  const live = call.status === "connected" || call.status === "active";
  const doings = [
    live && button("Listen in", () => listen(id, parties(call))),
    live && button("Control…", () => control(call)),
    !over.includes(call.status) && button("Hang up", () => post(`calls/${id}/disconnect`), { class: "danger" }),
  ].filter(Boolean);
  const acts = $("#call-acts");
  if (acts.dataset.of !== `${id} ${live} ${doings.length}`) { // or the focus would get lost
    acts.dataset.of = `${id} ${live} ${doings.length}`;
    acts.replaceChildren(...doings);
  }
  facts();
  paintEvents();
  paintFigures();
  paintWave();
}

function facts() {
  const pairs = {
    Agent: call.agent_id,
    Direction: call.direction,
    Carrier: call.provider,
    Created: moment(call.created_at),
    Length: clock(call.duration),
    Ended: call.end_reason && plain(call.end_reason),
    Why: call.detail,
    "Picked up by": call.answered_by && plain(call.answered_by),
    Machine: call.machine && plain(call.machine),
    Route: call.route,
    "On hold": call.on_hold && "yes",
    Recording: call.recording_paused && "paused",
    Consent: call.consent,
  };
  $("#facts").replaceChildren(
    ...Object.entries(pairs).filter(([, v]) => v).map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, String(v)))),
  );
}

function paintTranscript() {
  const list = $("#transcript");
  const key = (s) => `${s.from} ${s.words}`; // times are rough while the call lives
  if (list.children.length === said.length && said.every((s, i) => list.children[i].dataset.key === key(s))) {
    return;
  }
  const focused = [...list.children].findIndex((li) => li.contains(document.activeElement));
  list.replaceChildren(
    ...said.map((s) => {
      const words = [el("time", {}, clock(s.from)), el("b", {}, s.speaker), el("span", {}, s.words)];
      return el("li", { "data-speaker": s.speaker, "data-key": key(s) }, el("button", { type: "button", click: () => go(s.from) }, ...words));
    }),
  );
  if (!said.length) {
    list.append(el("li", { class: "muted" }, over.includes(call.status) ? "Nothing was written down." : "Nothing was said so far."));
  }
  list.children[focused]?.firstChild.focus();
}

const words = {
  state: (e) => plain(e.status),
  interruption: (e) => `interrupted by ${e.name === "key" ? "a key" : "speech"}`,
  key: (e) => (e.key ? `key ${e.key}` : "a key"),
  hold: (e) => (e.name === "on" ? "on hold" : "off hold"),
  listen: (e) => (e.name === "on" ? "somebody listens" : "listening ended"),
  move: (e) => (e.name === "back" ? "caller is back" : `caller leaves: ${e.name}`),
  agent_change: (e) => `agent ${e.name} has the call`,
  recording_pause: (e) => (e.name === "on" ? "recording paused" : "recording goes on"),
  recording: (e) => (e.detail ? "recording failed" : "recorded"),
};

function describe(e) {
  const main = words[e.type]?.(e) ?? [plain(e.type), e.name && plain(e.name)].filter(Boolean).join(": ");
  return e.detail ? `${main} – ${e.detail}` : main;
}

function paintEvents() {
  const shown = events.filter((e) => e.type !== "transcript" && e.type !== "metrics");
  const list = $("#events");
  for (const e of shown.slice(list.children.length)) {
    list.append(el("li", { "data-type": e.type }, el("time", {}), el("span", {}, describe(e))));
  }
  shown.forEach((e, i) => {
    const at = since(e);
    text($("time", list.children[i]), `${at < 0 ? "−" : ""}${clock(Math.abs(at), 1)}`);
  });
}

const marked = {
  interruption: () => ["interrupted", "--bad"],
  key: (e) => [e.key || "key", "--text"],
  hold: (e) => [e.name === "on" ? "hold" : "resumed", "--muted"],
  move: (e) => [e.name, "--muted"],
  agent_change: (e) => [e.name, "--muted"],
  state: (e) => (e.status === "active" || e.status === "ending" ? [e.status, "--muted"] : null),
};

function paintWave() {
  if (view.hidden || $("#sound").hidden) {
    return;
  }
  const marks = events.flatMap((e) => {
    const [word, color] = marked[e.type]?.(e) ?? [];
    return word ? [{ at: Math.max(0, since(e)), word, color }] : [];
  });
  draw(canvas, { length: length(), sides, marks, at: audio.currentTime });
}

const percent = (part, whole) => `${Math.round((100 * part) / (whole || 1))} %`;

function paintFigures() {
  const m = call.metrics;
  if (!over.includes(call.status)) {
    $("#figures").hidden = true;
    return;
  }
  $("#figures").hidden = false;
  const talk = m.caller_talk_seconds + m.agent_talk_seconds;
  const tiles = [
    ["Caller talked", percent(m.caller_talk_seconds, talk), clock(m.caller_talk_seconds)],
    ["Agent talked", percent(m.agent_talk_seconds, talk), clock(m.agent_talk_seconds)],
    ["Interruptions", m.interruptions, `${m.speaker_changes} turns`],
    ["Silence", clock(m.silence_seconds), `both at once ${clock(m.crosstalk_seconds)}`],
    ["Sound quality", m.audio_quality ? percent(m.audio_quality, 1) : "–", `jitter ${Math.round(m.jitter_ms)} ms`],
    ["Frames in", m.frames_in, `${m.frames_lost} lost`],
  ];
  $("#tiles").replaceChildren(
    ...tiles.map(([name, value, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("b", {}, String(value)), el("small", {}, more)))),
  );
  const bars = [
    ["Reply leaves", m.response_latency_ms, m.response_latency_p95_ms],
    ["Reply is heard", m.response_heard_ms, m.response_heard_p95_ms],
    ["Words are known", m.transcription_latency_ms, m.transcription_latency_p95_ms],
  ].filter(([, p50]) => p50 > 0);
  const most = Math.max(...bars.map(([, , p95]) => p95), 1);
  $("#latency").replaceChildren(
    ...bars.flatMap(([name, p50, p95]) => [
      el("dt", {}, name),
      el("dd", {}, el("meter", { class: "latency", max: most, value: p50, "aria-label": `${name}, median` }), `${Math.round(p50)} ms`, el("small", {}, `p95 ${Math.round(p95)} ms`)),
    ]),
  );
  $("#latency").hidden = !bars.length;
  paintReplies();
}

// paintReplies plots how long each reply took, as the recording has it.
function paintReplies() {
  const plot = $("#replies");
  const all = sides.length === 2 ? replies(sides[0].speech, sides[1].speech) : [];
  $("#replies-plot").hidden = !all.length;
  const most = Math.max(...all.map((r) => r.wait), 0.5);
  plot.replaceChildren(
    ...all.map(({ at, wait }) => {
      const words = `${Math.round(wait * 1000)} ms at ${clock(at)}`;
      const bar = el("button", { type: "button", title: words, "aria-label": words, click: () => go(at) });
      bar.style.setProperty("--share", wait / most);
      return el("li", {}, bar, el("small", {}, `${wait.toFixed(1)} s`));
    }),
  );
}

// go plays from a place.
function go(seconds) {
  if (!audio.src) {
    return;
  }
  audio.currentTime = Math.min(seconds, length() - 0.05);
  playing();
}

// playing shows where the playback is.
function playing() {
  const at = audio.currentTime;
  seek.value = at;
  seek.setAttribute("aria-valuetext", `${clock(at)} of ${clock(length())}`);
  text($("#at"), `${clock(at)} / ${clock(length())}`);
  text(play, audio.paused ? "Play" : "Pause");
  const now = said.findLastIndex((s) => s.from <= at + 0.05);
  [...$("#transcript").children].forEach((li, i) => {
    const here = i === now && (at > 0 || !audio.paused);
    if (here && li.getAttribute("aria-current") !== "true") {
      li.setAttribute("aria-current", "true");
      const list = $("#transcript");
      list.scrollTop = li.offsetTop - list.offsetTop - list.clientHeight / 2 + li.clientHeight / 2;
    } else if (!here) {
      li.removeAttribute("aria-current");
    }
  });
  paintWave();
}

function animate() {
  if (!audio.paused) {
    playing();
    requestAnimationFrame(animate);
  }
}

play.addEventListener("click", () => attempt(() => (audio.paused ? audio.play() : audio.pause())));
audio.addEventListener("play", animate);
for (const change of ["pause", "seeked", "ended", "loadedmetadata"]) {
  audio.addEventListener(change, () => recording && playing());
}
seek.addEventListener("input", () => go(Number(seek.value)));
$("#speed").addEventListener("change", ({ target }) => {
  audio.playbackRate = Number(target.value);
});
canvas.addEventListener("click", (event) => {
  const box = canvas.getBoundingClientRect();
  go(((event.clientX - box.left) / box.width) * length());
});
document.addEventListener("keydown", (event) => {
  if (event.key === " " && audio.src && !view.hidden && !event.target.closest("button, input, select, textarea, summary, a, dialog")) {
    event.preventDefault();
    play.click();
  }
});
new ResizeObserver(paintWave).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintWave);
