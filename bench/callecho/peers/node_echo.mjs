// A media stream server with ws: each frame to samples and back.
//
// It tells its address in one line and ends when its standard input does.

import { WebSocketServer } from "ws";

// mu-law of ITU-T G.711.
const linear = new Int16Array(256);
for (let code = 0; code < 256; code++) {
  const b = ~code & 0xff;
  const magnitude = (((b & 0x0f) << 3) + 0x84 << ((b & 0x70) >> 4)) - 0x84;
  linear[code] = b & 0x80 ? -magnitude : magnitude;
}
const codes = new Uint8Array(65536);
for (let i = 0; i < 65536; i++) {
  const sample = (i << 16) >> 16;
  const magnitude = Math.min(Math.abs(sample), 32635) + 0x84;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  codes[i] = ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}

function decode(payload) {
  const pcm = new Int16Array(payload.length);
  for (let i = 0; i < payload.length; i++) pcm[i] = linear[payload[i]];
  return pcm;
}

function encode(pcm) {
  const payload = Buffer.allocUnsafe(pcm.length);
  for (let i = 0; i < pcm.length; i++) payload[i] = codes[pcm[i] & 0xffff];
  return payload;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("listening", () => console.log("127.0.0.1:" + server.address().port));
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const message = JSON.parse(data.toString());
    if (message.event !== "media") return;
    const pcm = decode(Buffer.from(message.media.payload, "base64"));
    socket.send(
      JSON.stringify({
        event: "media",
        streamSid: message.streamSid,
        media: { payload: encode(pcm).toString("base64") },
      }),
    );
  });
});

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
