// The dialog for what can be done to a live call.

import { post } from "./api.js";
import { $, attempt, button, form, parties, text } from "./ui.js";

const dialog = $("#control");
let call = null;

// control opens the dialog.
export function control(which) {
  call = which;
  text($("#control-title"), parties(call));
  const paused = call.recording_paused;
  $("#control-quick").replaceChildren(
    call.on_hold ? act("Take off hold", "resume") : act("Put on hold", "hold"),
    paused ? act("Record again", "recording/resume") : act("Pause the recording", "recording/pause"),
  );
  dialog.showModal();
}

const act = (words, deed) =>
  button(words, async () => {
    dialog.close();
    await attempt(() => post(`calls/${call.call_id}/${deed}`));
  });

async function done(deed, body) {
  await post(`calls/${call.call_id}/${deed}`, body);
  dialog.close();
}

form($("#transfer"), ({ to_phone, announce }) => {
  const warm = $("#warm").checked;
  return done("transfer", { to_phone: to_phone.trim(), ...(warm && { warm, announce }) });
});
form($("#hand-over"), ({ agent_id }) => done("transfer", { agent_id }));
form($("#keys"), ({ digits }) => done("dtmf", { digits }));
$("#warm").addEventListener("change", () => {
  $("#announce").disabled = !$("#warm").checked;
});
