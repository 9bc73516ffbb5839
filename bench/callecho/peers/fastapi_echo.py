"""A media stream server with FastAPI and uvicorn: each frame to samples and back.

It tells its address in one line and ends when its standard input does.
"""

import base64
import json
import os
import socket
import sys
import threading
import warnings

warnings.simplefilter("ignore", DeprecationWarning)
import audioop

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.websocket("/")
async def media(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            message = json.loads(await websocket.receive_text())
            if message["event"] != "media":
                continue
            payload = base64.b64decode(message["media"]["payload"])
            pcm = audioop.ulaw2lin(payload, 2)
            reply = base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()
            await websocket.send_text(
                json.dumps(
                    {
                        "event": "media",
                        "streamSid": message["streamSid"],
                        "media": {"payload": reply},
                    }
                )
            )
    except WebSocketDisconnect:
        pass


def end_with_input():
    sys.stdin.read()
    os._exit(0)


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets",
        ws_per_message_deflate=False,
        log_level="error",
    )
    uvicorn.Server(config).run(sockets=[listener])


main()
