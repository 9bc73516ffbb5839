// The sound of the softphone, in the audio thread: the microphone goes out in
// pieces of 20 ms, and what comes in is heard in order.

const most = sampleRate * 60; // what may wait to be heard, in samples; what is more is thrown away

class Phone extends AudioWorkletProcessor {
  piece = new Int16Array(sampleRate / 50);
  filled = 0;
  loudest = 0; // of what was heard since the last piece went out
  queue = []; // pieces, and the numbers of marks between them
  at = 0; // in the first piece
  waiting = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data === "clear") {
        this.queue = [];
        this.at = this.waiting = 0;
      } else if (typeof data === "number") {
        this.queue.push(data);
      } else if (this.waiting + data.length <= most) {
        this.queue.push(data);
        this.waiting += data.length;
      }
    };
  }

  // next is the next sample to be heard.
  next() {
    while (typeof this.queue[0] === "number") {
      this.port.postMessage({ mark: this.queue.shift() });
    }
    const piece = this.queue[0];
    if (!piece) {
      return 0;
    }
    const sample = piece[this.at++];
    this.waiting--;
    if (this.at === piece.length) {
      this.queue.shift();
      this.at = 0;
    }
    return sample / 32768;
  }

  process([input], [output]) {
    const [heard] = output;
    const spoken = input[0];
    for (let i = 0; i < heard.length; i++) {
      heard[i] = this.next();
      this.loudest = Math.max(this.loudest, Math.abs(heard[i]));
      const sample = Math.max(-1, Math.min(1, spoken ? spoken[i] : 0));
      this.piece[this.filled++] = Math.round(sample * 32767);
      if (this.filled === this.piece.length) {
        this.port.postMessage({ spoken: this.piece.slice(), heard: this.loudest });
        this.filled = this.loudest = 0;
      }
    }
    return true;
  }
}

registerProcessor("switchboard-phone", Phone);
