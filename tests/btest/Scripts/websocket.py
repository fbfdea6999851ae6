"""A WebSocket client of a Zeek node, on nothing but Python's own library."""

import base64
import json
import os
import socket
import struct
import time


class Client:
    """Connects to a port of this host, retrying for a minute, and subscribes to
    topics. ack is Zeek's first answer, an acknowledgement or an error."""

    def __init__(self, port, *topics):
        deadline = time.time() + 60
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except OSError:
                if time.time() > deadline:
                    raise
                time.sleep(0.05)

        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /v1/messages/json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.sock.makefile("rb")
        status = self.stream.readline()
        if b" 101 " not in status:
            raise ConnectionError(f"not upgraded: {status}")
        while self.stream.readline().strip():
            pass
        self.send(json.dumps(topics))
        self.ack = self.receive()

    def send(self, text, opcode=1):
        data, mask = text.encode(), os.urandom(4)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + struct.pack(">H", len(data))
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        """The next message from Zeek; ConnectionError if it closes."""
        while True:
            head = self.stream.read(2)
            if len(head) < 2:
                raise ConnectionError("closed by Zeek")
            opcode, length = head
            if length == 126:
                (length,) = struct.unpack(">H", self.stream.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.stream.read(8))
            data = self.stream.read(length)
            if opcode & 15 == 9:
                self.send(data.decode(), 10)
            elif opcode & 15 == 8:
                raise ConnectionError("closed by Zeek")
            elif opcode & 15 == 1:
                return json.loads(data)

    def publish(self, topic, event, argument):
        """Publishes an event with one string argument."""
        event = [
            {"@data-type": "string", "data": event},
            {"@data-type": "vector", "data": [{"@data-type": "string", "data": argument}]},
        ]
        body = [
            {"@data-type": "count", "data": 1},
            {"@data-type": "count", "data": 1},
            {"@data-type": "vector", "data": event},
        ]
        self.send(json.dumps({"type": "data-message", "topic": topic, "@data-type": "vector", "data": body}))

    def close(self):
        """Says goodbye and waits until Zeek has, too."""
        self.send("", 8)
        try:
            while True:
                self.receive()
        except ConnectionError:
            pass
        self.sock.close()


def name_and_args(message):
    """Of an event that was received."""
    name, args = (v["data"] for v in message["data"][2]["data"][:2])
    return name, [a["data"] for a in args]
