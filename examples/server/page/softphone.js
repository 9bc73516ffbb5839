// A telephone in the browser: it talks to an agent for which the server has
// given a ticket.

const rate = 16000;

export class Softphone {
  onlevels = () => {}; // (spoken, heard), from 0 to 1
  onend = () => {};
  muted = false;

  // start opens the microphone and the line.
  async start(ticket) {
    try {
      this.microphone = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
      this.context = new AudioContext({ sampleRate: rate });
      await this.context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
      this.node = new AudioWorkletNode(this.context, "phone", { outputChannelCount: [1] });
      this.context.createMediaStreamSource(this.microphone).connect(this.node).connect(this.context.destination);
      const address = new URL("ws/stream", document.baseURI);
      address.protocol = address.protocol.replace("http", "ws");
      this.line = new WebSocket(address, [`ticket.${ticket}`]);
      this.line.binaryType = "arraybuffer";
      await new Promise((resolve, reject) => {
        this.line.onopen = resolve;
        this.line.onerror = () => reject(new Error("The server did not take the call."));
      });
    } catch (error) {
      this.stop();
      throw error;
    }
    this.line.onclose = () => this.stop();
    this.line.onmessage = ({ data }) => this.#hear(data);
    this.node.port.onmessage = ({ data }) => this.#speak(data);
    this.#send({ event: "start", rate });
  }

  key(digit) {
    this.#send({ event: "key", digit });
  }

  stop() {
    this.#send({ event: "stop" });
    this.line?.close();
    this.microphone?.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") {
      this.context.close();
      this.onend();
    }
  }

  #send(message) {
    if (this.line?.readyState === WebSocket.OPEN) {
      this.line.send(message instanceof Int16Array ? message : JSON.stringify(message));
    }
  }

  #hear(data) {
    if (data instanceof ArrayBuffer) {
      this.node.port.postMessage(new Int16Array(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.event === "clear") {
      this.node.port.postMessage("clear");
    } else if (message.event === "mark") {
      this.node.port.postMessage(message.mark);
    }
  }

  #speak({ mark, spoken, heard }) {
    if (mark !== undefined) {
      this.#send({ event: "mark", mark });
      return;
    }
    if (this.muted) {
      spoken.fill(0);
    }
    this.#send(spoken);
    const loudest = spoken.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.onlevels(loudest / 32768, heard);
  }
}
