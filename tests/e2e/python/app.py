"""An ASGI application that says what it was asked for, and echoes WebSockets."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "echo of " + message["text"]})
        return
    body = f"served {scope['path']} over HTTP/{scope['http_version']}\n".encode()
    length = str(len(body)).encode()
    headers = [(b"content-length", length), (b"x-answered-by", b"backend")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
