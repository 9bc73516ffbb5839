// The softphone at the foot of the page: one call at a time, talked on or listened
// to.

import { post } from "./api.js";
import { Phone } from "./switchboard.js";
import { $, button, clock, text } from "./ui.js";

let phone = null;
let since = 0;

const panel = $("#phone");
const mute = $("#phone-mute");

// use takes the phone for a call; open connects it.
async function use(title, talks, open) {
  hangUp();
  const mine = new Phone();
  phone = mine;
  mine.addEventListener("levels", ({ detail }) => {
    $("#spoken").value = detail.spoken;
    $("#heard").value = detail.heard;
  });
  mine.addEventListener("end", () => {
    if (phone === mine) {
      phone = null;
      panel.hidden = true;
      document.body.classList.remove("talking");
    }
  });
  try {
    await open(mine);
  } catch (error) {
    mine.hangUp();
    if (error.name === "NotAllowedError" || error.name === "NotFoundError") {
      throw new Error(`The microphone cannot be used: ${error.message}`);
    }
    throw error;
  }
  since = Date.now();
  text($("#phone-title"), title);
  text($("#phone-stop"), talks ? "Hang up" : "Stop listening");
  panel.dataset.talks = talks;
  mute.setAttribute("aria-pressed", "false");
  panel.hidden = false;
  document.body.classList.add("talking");
  tick();
  $("#phone-stop").focus();
}

export function talk(agent) {
  return use(`Talking to ${agent}`, true, async (mine) => {
    const { ticket } = await post("tickets", { agent_id: agent, record_call: true });
    await mine.talk(ticket);
  });
}

export function listen(id, title) {
  return use(`Listening to ${title}`, false, async (mine) => {
    const { ticket } = await post(`calls/${id}/listen`);
    await mine.listen(ticket);
  });
}

export function hangUp() {
  phone?.hangUp();
}

function tick() {
  text($("#phone-time"), clock((Date.now() - since) / 1000));
}

setInterval(() => phone && tick(), 1000);

function toggleMute() {
  phone.muted = !phone.muted;
  mute.setAttribute("aria-pressed", phone.muted);
}

mute.addEventListener("click", toggleMute);
$("#phone-stop").addEventListener("click", hangUp);
for (const key of "123456789*0#") {
  $("#keypad").append(button(key, () => phone?.press(key), { "data-key": key }));
}

// Keys of the keyboard press those of the keypad, where nothing is being typed.
document.addEventListener("keydown", (event) => {
  if (!phone || panel.dataset.talks !== "true" || event.ctrlKey || event.altKey || event.metaKey) {
    return;
  }
  if (event.target.closest("input, select, textarea, dialog")) {
    return;
  }
  if (event.key === "m") {
    toggleMute();
  } else if (/^[0-9*#]$/.test(event.key)) {
    $(`[data-key="${event.key}"]`, panel).click();
  }
});
