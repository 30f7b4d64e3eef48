"""Sends one request over HTTP/2 without TLS, with any pseudo-headers, and prints the status and what came of the body:

    http2.py PORT NAME=VALUE... [BYTES, in hexadecimal, that are sent once there is an answer]

It ends with the stream, or when what came holds what was sent, in which case it is an echo.
"""

import socket
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

DEADLINE_S = 30

port, *words = sys.argv[1:]
sent = bytes.fromhex(words.pop()) if "=" not in words[-1] else b""
# The name of a pseudo-header begins with a colon, and values have equals signs.
headers = [tuple(word.split("=", 1)) for word in words]
connect = ":method=CONNECT" in words

connection = H2Connection(
    H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
)
stream = socket.create_connection(("127.0.0.1", int(port)), DEADLINE_S)
connection.initiate_connection()
connection.send_headers(1, headers, end_stream=not connect)
stream.sendall(connection.data_to_send())
status, body, ended = "none", b"", False
while not ended:
    received = stream.recv(65536)
    ended = not received
    for event in connection.receive_data(received):
        if isinstance(event, ResponseReceived):
            status = dict(event.headers)[b":status"].decode()
            if sent and status == "200":
                try:
                    connection.send_data(1, sent)
                except ProtocolError:
                    pass  # the other side has reset the stream already
        elif isinstance(event, DataReceived):
            body += event.data
            ended = ended or b"echo of" in body
        elif isinstance(event, (StreamEnded, StreamReset, ConnectionTerminated)):
            ended = True
    stream.sendall(connection.data_to_send())
print(status, body.decode("latin-1"))
