"""Messages over the socket: four bytes of length, big-endian, then JSON in UTF-8."""

import json
import os
import socket
import struct
import threading

LONGEST = 1 << 28  # bytes of one message; tensors go through shared files


class Wire:
    """A connection on which whole messages are sent and received."""

    def __init__(self, address):
        self.secret = os.environ.pop("COMFYGO_HOST_SECRET", "")
        if address.startswith("tcp:"):
            host, port = address[len("tcp:") :].rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(self.secret.encode())
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(address)
        self.stream = self.socket.makefile("rb")
        self.lock = threading.Lock()

    def send(self, message):
        """Sends a message; a value that JSON does not know is sent as its text."""
        data = json.dumps(message, default=str, ensure_ascii=True).encode()
        if len(data) > LONGEST:
            raise ValueError(f"a message of {len(data)} bytes is longer than {LONGEST}")
        with self.lock:
            self.socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self):
        """Returns the next message, None at the end of the connection."""
        head = self.stream.read(4)
        if len(head) < 4:
            return None
        (length,) = struct.unpack(">I", head)
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes is longer than {LONGEST}")
        data = self.stream.read(length)
        if len(data) < length:
            return None
        return json.loads(data)
