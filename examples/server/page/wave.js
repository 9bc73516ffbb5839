// A recording as numbers: its two sides, when each spoke, and how it looks.

export const mostBytes = 64e6; // of a recording that is drawn; a longer one is only played

const tables = { 7: mulaw, 6: alaw };

function mulaw(code) {
  const u = ~code & 0xff;
  const sample = (((u & 0x0f) << 3) + 0x84) << ((u & 0x70) >> 4);
  return u & 0x80 ? 0x84 - sample : sample - 0x84;
}

function alaw(code) {
  const a = code ^ 0x55;
  const exponent = (a & 0x70) >> 4;
  const sample = exponent ? (((a & 0x0f) << 4) + 0x108) << (exponent - 1) : ((a & 0x0f) << 4) + 8;
  return a & 0x80 ? sample : -sample;
}

// decode reads a WAV file: PCM of 16 bits, mu-law or A-law, of one channel or two.
export function decode(buffer) {
  const view = new DataView(buffer);
  const name = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (buffer.byteLength < 44 || name(0) !== "RIFF" || name(8) !== "WAVE") {
    throw new Error("The recording is no WAV file.");
  }
  let format, channels, rate;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const data = at + 8;
    if (name(at) === "fmt ") {
      format = view.getUint16(data, true);
      channels = view.getUint16(data + 2, true);
      rate = view.getUint32(data + 4, true);
    } else if (name(at) === "data") {
      const bytes = Math.min(size, buffer.byteLength - data);
      return { rate, sides: split(buffer.slice(data, data + bytes), format, channels) };
    }
    at = data + size + (size % 2);
  }
  throw new Error("The recording has no sound.");
}

function split(bytes, format, channels) {
  let samples;
  if (tables[format]) {
    const table = Int16Array.from({ length: 256 }, (_, code) => tables[format](code));
    samples = Int16Array.from(new Uint8Array(bytes), (code) => table[code]);
  } else {
    samples = new Int16Array(bytes, 0, bytes.byteLength >> 1);
  }
  const frames = Math.floor(samples.length / channels);
  return Array.from({ length: channels }, (_, c) => {
    const side = new Int16Array(frames);
    for (let i = 0; i < frames; i++) {
      side[i] = samples[i * channels + c];
    }
    return side;
  });
}

const step = 0.02; // seconds, of which each has one level
const quiet = 150; // the level of a line on which nobody speaks, at most
const pause = 0.4; // seconds that do not end a stretch of speech

// measure returns what is drawn of a side: its levels, and when it spoke.
export function measure(side, rate) {
  const n = Math.round(rate * step);
  const levels = new Float32Array(Math.ceil(side.length / n));
  for (let i = 0; i < levels.length; i++) {
    let sum = 0;
    const end = Math.min(side.length, (i + 1) * n);
    for (let j = i * n; j < end; j++) {
      sum += side[j] * side[j];
    }
    levels[i] = Math.sqrt(sum / (end - i * n));
  }
  const speech = [];
  levels.forEach((level, i) => {
    const from = i * step;
    const last = speech.at(-1);
    if (level < quiet) {
      return;
    }
    if (last && from - last.to < pause) {
      last.to = from + step;
    } else {
      speech.push({ from, to: from + step });
    }
  });
  return { levels, speech: speech.filter(({ from, to }) => to - from >= 0.1) };
}

// replies are how long it took, each time that the caller had ended, until the
// agent spoke: { at, wait } in seconds. Answers while the caller still spoke, and
// those to another word of the caller's, do not count.
export function replies(caller, agent) {
  return caller.flatMap(({ to }, i) => {
    const reply = agent.find(({ from }) => from >= to);
    const talking = agent.some((a) => a.from < to && a.to > to);
    const next = caller[i + 1]?.from ?? Infinity;
    return reply && !talking && reply.from < next ? [{ at: to, wait: reply.from - to }] : [];
  });
}

const colors = ["--caller", "--agent"];

// draw draws the timeline of a call onto a canvas: the waves of both sides, the
// stretches in which they spoke, and marks ({ at, word, color }) above them.
export function draw(canvas, { length, sides, marks, at }) {
  const box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [box.width, box.height];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name).trim();
  const x = (seconds) => (length ? (seconds / length) * width : 0);
  const top = 34;
  const lane = (height - top - 18) / 2;

  g.font = `12px ${style.fontFamily}`;
  g.fillStyle = color("--line");
  for (let i = 0; i < 2; i++) {
    g.fillRect(0, top + lane * (i + 0.5), width, 1);
  }
  sides.forEach(({ levels, speech }, i) => {
    const middle = top + lane * (i + 0.5);
    g.fillStyle = color(colors[i]);
    g.globalAlpha = 0.14;
    for (const { from, to } of speech) {
      g.beginPath();
      g.roundRect(x(from), middle - lane / 2 + 3, Math.max(2, x(to) - x(from)), lane - 6, 4);
      g.fill();
    }
    const bars = Math.max(1, Math.floor(width / 3));
    const per = levels.length / bars;
    for (let b = 0; b < bars; b++) {
      let most = 0;
      for (let j = Math.floor(b * per); j < Math.max((b + 1) * per, Math.floor(b * per) + 1) && j < levels.length; j++) {
        most = Math.max(most, levels[j]);
      }
      const tall = Math.max(1, Math.min(1, Math.sqrt(most / 9000)) * (lane - 12));
      g.globalAlpha = (b * width) / bars <= x(at) ? 1 : 0.5;
      g.fillRect((b * width) / bars, middle - tall / 2, 2, tall);
    }
    g.globalAlpha = 1;
  });

  const taken = [-Infinity, -Infinity]; // where the words of each row end
  for (const mark of marks) {
    g.fillStyle = color(mark.color);
    g.fillRect(x(mark.at), top - 6, 1.5, height - top - 12);
    const wide = g.measureText(mark.word).width;
    const place = Math.min(x(mark.at) + 3, width - wide);
    const row = taken.findIndex((end) => end < place);
    if (row >= 0) {
      g.fillText(mark.word, place, 12 + row * 13);
      taken[row] = place + wide + 6;
    }
  }

  g.fillStyle = color("--muted");
  const unit = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((u) => x(u) > 56) ?? 3600;
  for (let s = 0; s < length && x(s) < width - 30; s += unit) {
    g.fillText(`${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`, x(s), height - 3);
  }
  g.fillStyle = color("--text");
  g.fillRect(Math.min(x(at), width - 2), top - 6, 2, height - top - 10);
}
