// Switchboard in a browser: talk to an agent, or listen to a call, from any page.
//
//   import { Phone } from "https://calls.example.com/switchboard.js";
//   const phone = new Phone();
//   await phone.talk(ticket);   // in a click: browsers ask for the microphone
//
// or, without a line of script, a button:
//
//   <script type="module" src="https://calls.example.com/switchboard.js"></script>
//   <switchboard-call ticket="/call-us">Talk to us</switchboard-call>
//
// Tickets come from POST /api/tickets, or POST /api/calls/{id}/listen, which your
// own server asks with its token: never give the token to a browser. Pages of
// another origin than the server's must be among its allowed origins.

// Rates at which a browser may be able to work; the first is enough for speech.
const rates = [16000, 48000];

// A Phone is one call. Its events are "levels" (detail: spoken and heard, from 0 to
// 1, fifty times a second) and "end", once.
export class Phone extends EventTarget {
  #server;
  #line;
  #context;
  #node;
  #microphone;
  #ended = false;

  muted = false; // what is spoken while it is true is silence

  // server is the address below which Switchboard is; where this module is from,
  // if it is left out.
  constructor(server = new URL(".", import.meta.url)) {
    super();
    this.#server = new URL(server, document.baseURI);
  }

  // talk connects the microphone to the call of a ticket. It throws what a browser
  // says of its microphone, or an Error.
  talk(ticket) {
    return this.#open("ws/stream", ticket, true);
  }

  // listen lets the call of a ticket be heard.
  listen(ticket) {
    return this.#open("ws/listen", ticket, false);
  }

  // press presses a key: 0-9, * or #.
  press(key) {
    this.#send(JSON.stringify({ event: "key", digit: key }));
  }

  hangUp() {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#send(JSON.stringify({ event: "stop" }));
    this.#line?.close();
    this.#microphone?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
    this.dispatchEvent(new Event("end"));
  }

  async #open(path, ticket, talks) {
    try {
      if (talks) {
        this.#microphone = await navigator.mediaDevices.getUserMedia({
          audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
        });
      }
      await this.#connectSound();
      await this.#connectLine(path, ticket);
    } catch (error) {
      this.hangUp();
      throw error;
    }
    if (this.#ended) {
      throw new Error("Hung up.");
    }
    this.#line.onclose = () => this.hangUp();
    this.#line.onmessage = ({ data }) => this.#hear(data);
    this.#node.port.onmessage = ({ data }) => this.#speak(data, talks);
    this.#send(JSON.stringify({ event: "start", rate: this.#context.sampleRate }));
  }

  async #connectSound() {
    for (const sampleRate of rates) {
      const context = new AudioContext({ sampleRate });
      try {
        await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
        const node = new AudioWorkletNode(context, "switchboard-phone", { outputChannelCount: [1] });
        if (this.#microphone) { // which not every browser brings to any rate
          context.createMediaStreamSource(this.#microphone).connect(node);
        }
        node.connect(context.destination);
        await context.resume();
        [this.#context, this.#node] = [context, node];
        return;
      } catch (error) {
        context.close();
        if (sampleRate === rates.at(-1)) {
          throw error;
        }
      }
    }
  }

  #connectLine(path, ticket) {
    const address = new URL(path, this.#server);
    address.protocol = address.protocol.replace("http", "ws");
    this.#line = new WebSocket(address, [`ticket.${ticket}`]);
    this.#line.binaryType = "arraybuffer";
    return new Promise((resolve, reject) => {
      this.#line.onopen = resolve;
      this.#line.onclose = this.#line.onerror = () => reject(new Error("The server did not take the call."));
    });
  }

  #send(message) {
    if (this.#line?.readyState === WebSocket.OPEN) {
      this.#line.send(message);
    }
  }

  #hear(data) {
    if (data instanceof ArrayBuffer) {
      this.#node.port.postMessage(new Int16Array(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.event === "clear") {
      this.#node.port.postMessage("clear");
    } else if (message.event === "mark") {
      this.#node.port.postMessage(message.mark);
    }
  }

  #speak({ mark, spoken, heard }, talks) {
    if (mark !== undefined) {
      this.#send(JSON.stringify({ event: "mark", mark }));
      return;
    }
    if (this.muted) {
      spoken.fill(0);
    }
    if (talks) {
      this.#send(spoken);
    }
    const loudest = spoken.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.dispatchEvent(new CustomEvent("levels", { detail: { spoken: loudest / 32768, heard } }));
  }
}

const look = `
  button { font: inherit; color: inherit; background: none; border: 2px solid currentColor; border-radius: 2em; padding: 0.5em 1.25em; cursor: pointer; }
  button:focus-visible { outline: 3px solid; outline-offset: 2px; }
  [role="alert"]:empty { display: none; }
`;

// CallButton is <switchboard-call>. Its attribute ticket is an address of your own
// server, which answers a POST with {"ticket": …}; server is where Switchboard is,
// if that is not where this module is from. Pressed again it hangs up. It tells
// "start" and "end", its text is the slot, and "button" is a CSS part.
class CallButton extends HTMLElement {
  #phone = null;
  #button = document.createElement("button");
  #words = document.createElement("span");
  #problem = document.createElement("span");

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(look);
    root.adoptedStyleSheets = [sheet];
    this.#button.type = "button";
    this.#button.part = "button";
    this.#problem.setAttribute("role", "alert");
    this.#button.append(this.#words);
    root.append(this.#button, this.#problem);
    this.#say(null);
    this.#button.addEventListener("click", () => (this.#phone ? this.#phone.hangUp() : this.#call()));
  }

  disconnectedCallback() {
    this.#phone?.hangUp();
  }

  // #say shows words on the button; null: those of the page.
  #say(words) {
    this.#words.replaceChildren(words ?? document.createElement("slot"));
  }

  async #call() {
    const server = this.getAttribute("server");
    const phone = server ? new Phone(server) : new Phone();
    this.#phone = phone;
    this.#problem.textContent = "";
    this.#say("Connecting…");
    phone.addEventListener("end", () => {
      this.#phone = null;
      this.#say(null);
      this.dispatchEvent(new Event("end"));
    });
    try {
      const answer = await fetch(this.getAttribute("ticket"), { method: "POST" });
      if (!answer.ok) {
        throw new Error("No call is possible at present.");
      }
      await phone.talk((await answer.json()).ticket);
      this.#say("Hang up");
      this.dispatchEvent(new Event("start"));
    } catch (error) {
      phone.hangUp();
      this.#problem.textContent = ` ${error.message}`;
    }
  }
}

if (!customElements.get("switchboard-call")) {
  customElements.define("switchboard-call", CallButton);
}
