// The page: who is in, and which part of it is looked at.

import { session } from "./api.js";
import * as call from "./call.js";
import * as calls from "./calls.js";
import { hangUp, talk } from "./phone.js";
import * as plans from "./plans.js";
import { $, attempt, form } from "./ui.js";

const parts = ["calls", "schedules", "campaigns"];

// turn shows the part that the address names.
function turn() {
  const [part, id] = location.hash.slice(1).split("=");
  const one = part === "call" && id;
  const here = one ? "call" : parts.includes(part) ? part : "calls";
  for (const p of parts) {
    $(`#${p}`).hidden = p !== here;
    const tab = $(`nav [href="#${p}"]`);
    p === (one ? "calls" : here) ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
  }
  plans.watch(here);
  if (one) {
    attempt(() => call.show(decodeURIComponent(id)));
  } else {
    call.hide();
  }
}

function enter() {
  $("#login").hidden = true;
  $("#inside").hidden = false;
  $("nav").hidden = false;
  $("#leave").hidden = false;
  turn();
  calls.run();
}

session.onlogout = (why) => {
  hangUp();
  call.hide();
  calls.forget();
  plans.watch(null);
  $("#inside").hidden = true;
  $("nav").hidden = true;
  $("#leave").hidden = true;
  $("#login").hidden = false;
  $("#login .wrong").textContent = why ?? "";
  $("#token").focus();
};

form($("#login"), ({ token }) => {
  session.login(token.trim());
  enter();
});
form($("#talk"), ({ agent_id }) => talk(agent_id));
$("#leave").addEventListener("click", () => session.logout());
$("#problem-close").addEventListener("click", () => {
  $("#problem").hidden = true;
});
addEventListener("hashchange", () => session.token && turn());

if (session.token) {
  enter();
} else {
  session.onlogout();
}
