# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The load test's server on FastAPI and uvicorn: /echo, /sub and /pub."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

BACKLOG = 4096
app = FastAPI()
subscribers = set()


@app.websocket("/sub")
async def subscribe(client: WebSocket):
    await client.accept()
    subscribers.add(client)
    try:
        while True:
            await client.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        subscribers.discard(client)


@app.websocket("/pub")
async def publish(client: WebSocket):
    await client.accept()
    try:
        while True:
            text = await client.receive_text()
            await asyncio.gather(*(subscriber.send_text(text) for subscriber in subscribers),
                                 return_exceptions=True)
    except WebSocketDisconnect:
        pass


@app.websocket("/echo")
async def echo(client: WebSocket):
    await client.accept()
    try:
        while True:
            await client.send_text(await client.receive_text())
    except WebSocketDisconnect:
        pass


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="error", ws_per_message_deflate=False, lifespan="off",
                            backlog=BACKLOG)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
