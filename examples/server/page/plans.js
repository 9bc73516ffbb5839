// What places calls by itself: schedules and campaigns.

import { get, post, remove } from "./api.js";
import { $, attempt, badge, button, el, form, moment, plain } from "./ui.js";

const lists = {
  schedules: { show: schedule, none: "No call is planned." },
  campaigns: { show: campaign, none: "There is no campaign." },
};

// refresh lists what there is of a kind.
export async function refresh(kind) {
  const found = (await get(`${kind}?limit=100`))[kind];
  const list = $(`#${kind} .plans`);
  const id = kind === "schedules" ? "schedule_id" : "campaign_id";
  const all = await Promise.all(found.map((item) => get(`${kind}/${item[id]}`)));
  const focus = document.activeElement?.dataset.focus;
  list.replaceChildren(...all.map(lists[kind].show));
  if (!all.length) {
    list.append(el("li", { class: "muted" }, lists[kind].none));
  }
  if (focus) {
    $(`[data-focus="${CSS.escape(focus)}"]`, list)?.focus();
  }
}

// deed is a button that does something and shows what came of it.
function deed(kind, id, words, do_) {
  return button(words, async () => {
    await do_();
    await refresh(kind);
  }, { "data-focus": `${id} ${words}`, "aria-label": `${words}: ${id}` });
}

function schedule(s) {
  const path = `schedules/${s.schedule_id}`;
  const act = (words, do_) => deed("schedules", s.schedule_id, words, do_);
  const when = s.cron_expression ? `${s.cron_expression} (${s.timezone})` : `${s.scheduled_time} (${s.timezone})`;
  const last = s.last && el("p", {}, `Last: ${plain(s.last.outcome)}, ${moment(s.last.at)}${s.last.detail ? ` – ${s.last.detail}` : ""} `,
    s.last.call_id ? el("a", { href: `#call=${encodeURIComponent(s.last.call_id)}` }, "the call") : null);
  return el("li", { "data-plan": s.schedule_id },
    el("header", {}, el("h3", {}, `${s.phone_number} by ${s.agent_id}`), badge(s.status)),
    el("p", {}, when),
    s.upcoming.length ? el("p", {}, `Next: ${s.upcoming[0].local}, here ${moment(s.next_at)}`) : null,
    s.upcoming.length > 1 ? el("p", { class: "muted" }, `Then ${s.upcoming.slice(1).map((u) => u.local).join(", ")}`) : null,
    last,
    el("div", { class: "acts" }, ...[
      s.status === "active" && act("Pause", () => post(`${path}/pause`)),
      s.status === "paused" && act("Resume", () => post(`${path}/resume`)),
      (s.status === "active" || s.status === "paused") && act("Cancel", () => remove(path)),
    ].filter(Boolean)),
  );
}

function campaign(c) {
  const path = `campaigns/${c.campaign_id}`;
  const act = (words, do_) => deed("campaigns", c.campaign_id, words, do_);
  const p = c.progress;
  const share = (n) => (p.contacts ? (100 * n) / p.contacts : 0);
  const part = (name, n) => {
    const e = el("i", { class: name });
    e.style.inlineSize = `${share(n)}%`;
    return e;
  };
  const reached = p.outcomes.completed ?? p.outcomes.answered ?? 0;
  const over = c.status === "done" || c.status === "stopped";
  const outcomes = Object.entries(p.outcomes).map(([word, n]) => `${plain(word)} ${n}`).join(", ");
  return el("li", { "data-plan": c.campaign_id },
    el("header", {}, el("h3", {}, `${p.contacts} contacts by ${c.agent_id}`), badge(c.status)),
    el("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": p.contacts, "aria-valuenow": p.over, "aria-label": "Contacts that are over" },
      part("reached", reached), part("missed", p.over - reached), part("live", p.live)),
    el("p", {}, `${p.over} of ${p.contacts} over, ${p.live} live, ${p.waiting} waiting`),
    outcomes ? el("p", { class: "muted" }, outcomes) : null,
    c.reason ? el("p", {}, c.reason) : null,
    p.slowed ? el("p", {}, "Slowed down: too many people who answered found nobody there.") : null,
    el("p", { class: "muted" }, `Within ${c.hours}${p.estimated_end ? `, until about ${moment(p.estimated_end)}` : ""}`),
    el("div", { class: "acts" }, ...[
      c.status === "paused" && act("Start", () => post(`${path}/start`)),
      c.status === "running" && act("Pause", () => post(`${path}/pause`)),
      !over && act("Stop", () => post(`${path}/stop`)),
      over && act("Erase", () => remove(path)),
    ].filter(Boolean)),
  );
}

form($("#plan"), async (f) => {
  const local = f.scheduled_time && f.scheduled_time.replace("T", " ").padEnd(19, ":00");
  await post("schedules", {
    agent_id: f.agent_id, phone_number: f.phone_number.trim(), from_phone: f.from_phone.trim(), timezone: f.timezone,
    ...(f.cron_expression ? { cron_expression: f.cron_expression } : { scheduled_time: local }),
  });
  await refresh("schedules");
});

form($("#many"), async (f) => {
  const numbers = f.contacts.split(/[\s,;]+/).filter(Boolean);
  await post("campaigns", {
    agent_id: f.agent_id, from_phone: f.from_phone.trim(), hours: f.hours || undefined, start: f.start === "on",
    contacts: numbers.map((phone_number) => ({ phone_number })),
  });
  await refresh("campaigns");
});

$("#plan").elements.timezone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;

// watch lists a kind again and again while it is looked at.
let timer = null;
export function watch(kind) {
  clearInterval(timer);
  timer = null;
  if (lists[kind]) {
    attempt(() => refresh(kind));
    timer = setInterval(() => !document.hidden && attempt(() => refresh(kind)), 2000);
  }
}
