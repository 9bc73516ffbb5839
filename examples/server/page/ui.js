// What all parts of the page are made of.

export const $ = (selector, root = document) => root.querySelector(selector);

// el makes an element; props are attributes, and functions listen to events.
export function el(name, props = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") {
      e.addEventListener(key, value);
    } else if (value !== false && value != null) {
      e.setAttribute(key, value === true ? "" : value);
    }
  }
  e.append(...children.filter((c) => c != null));
  return e;
}

// text changes what an element says, if that is something else.
export function text(e, words) {
  if (e.textContent !== words) {
    e.textContent = words;
  }
}

// attempt does something, and shows what went wrong.
export async function attempt(deed) {
  try {
    const result = await deed();
    $("#problem").hidden = true;
    return result;
  } catch (error) {
    text($("#problem-text"), error.message);
    $("#problem").hidden = false;
    return undefined;
  }
}

// button does something when it is pressed, once at a time.
export function button(words, deed, props = {}) {
  const b = el("button", { type: "button", ...props, click: () => alone(b, () => attempt(deed)) }, words);
  return b;
}

// alone does something for a button, unless it is being done. A button that is
// disabled would lose the focus.
async function alone(b, deed) {
  if (b.ariaBusy === "true") {
    return;
  }
  b.ariaBusy = "true";
  try {
    await deed();
  } finally {
    b.ariaBusy = null;
  }
}

// form has a deed done when it is submitted, and shows what is wrong at the fields
// that it is about: those whose name is in a problem's location.
export function form(f, deed) {
  const note = el("p", { class: "wrong", role: "alert" });
  f.append(note);
  f.addEventListener("submit", (event) => {
    event.preventDefault();
    const submit = $("button:not([type])", f);
    alone(submit, async () => {
      clear(f);
      note.textContent = "";
      try {
        await deed(Object.fromEntries(new FormData(f)));
        $("#problem").hidden = true;
      } catch (error) {
        note.textContent = complain(f, error);
        ($("[aria-invalid]", f) ?? submit).focus();
      }
    });
  });
}

// complain shows what is wrong at the fields that it is about, and returns what is
// about none.
function complain(f, error) {
  const rest = [];
  for (const { location, message } of error.fields ?? []) {
    const field = f.elements[location.replace(/^body\.?/, "").replace(/[.[].*$/, "")];
    if (field) {
      blame(field, message);
    } else {
      rest.push(`${location}: ${message}`);
    }
  }
  return $("[aria-invalid]", f) ? rest.join("; ") : error.message;
}

function blame(field, message) {
  const id = `${field.form.id}-${field.name}-wrong`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", id);
  field.after(el("span", { class: "wrong", id }, message));
}

function clear(f) {
  for (const field of f.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  f.querySelectorAll("span.wrong").forEach((e) => e.remove());
}

// clock is a length in seconds as 1:02, or as 1:02.3.
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const all = Math.floor(Math.max(0, seconds) * unit) / unit;
  const h = Math.floor(all / 3600);
  const m = Math.floor(all / 60) % 60;
  const s = (all % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

export function moment(time) {
  const t = new Date(time);
  const today = t.toDateString() === new Date().toDateString();
  return today ? t.toLocaleTimeString() : t.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

export const plain = (word) => word.replaceAll("_", " ");

// badge is a word of state.
export const badge = (word) => el("span", { class: "badge", "data-state": word }, plain(word));

// parties are who talks to whom; a browser has no number.
export function parties(call) {
  return `${call.from_phone || call.provider} → ${call.to_phone || call.agent_id}`;
}

export const over = ["ending", "completed", "failed", "busy", "no_answer", "canceled"];
