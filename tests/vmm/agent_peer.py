#!/usr/bin/env python3
"""The host's end of the agent's protocol, written anew from docs/agent.md.

    agent_peer.py SCRIPT COMMAND...   start COMMAND with the port as descriptor 3, run SCRIPT by its
                                      shell, print what comes, and have it power off

SCRIPT 'poweroff' runs nothing.
"""
import os
import socket
import struct
import subprocess
import sys

HELLO, WELCOME, RUN, POWER, DATA, ENDED = 1, 3, 16, 22, 32, 48
HOW = {0: "status", 1: "signal", 2: "not started"}


class Peer:
    def __init__(self, command):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(25)

        def give():
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen(command, pass_fds=[3], preexec_fn=give,
                                        stdin=subprocess.DEVNULL)
        theirs.close()
        self.rest = b""

    def receive(self):
        while True:
            if len(self.rest) >= 12:
                size, kind, stream, _, op = struct.unpack("<IBBHI", self.rest[:12])
                if len(self.rest) >= 12 + size:
                    payload = self.rest[12:12 + size]
                    self.rest = self.rest[12 + size:]
                    return kind, stream, op, payload
            data = self.sock.recv(65536)
            if not data:
                return None
            self.rest += data

    def send(self, kind, op, payload):
        self.sock.sendall(struct.pack("<IBBHI", len(payload), kind, 0, 0, op) + payload)

    def greet(self):
        kind, _, _, payload = self.receive()
        assert kind == HELLO and payload[:8] == b"VireoAg\x01", payload
        self.send(WELCOME, 0, b"VireoOk\x03" + struct.pack("<HH", 1, 0) + payload[12:20] + b"tests   ")
        return payload[20:].decode()

    def run(self, op, *argv):
        texts = b"".join(os.fsencode(word) + b"\0" for word in argv) + b"/\0"
        self.send(RUN, op, struct.pack("<IHHII", 0, 0, 0, len(argv), 0) + texts)
        while True:
            kind, _, _, payload = self.receive()
            if kind == DATA:
                sys.stdout.write(payload.decode(errors="replace"))
            elif kind == ENDED:
                how, value = struct.unpack("<II", payload[:8])
                return f"{HOW[how]} {value} {payload[8:].decode()}".strip()


def main():
    peer = Peer(sys.argv[2:])
    print(peer.greet())
    if sys.argv[1] != "poweroff":
        print(peer.run(1, "sh", "-c", sys.argv[1]))
    peer.send(POWER, 0, struct.pack("<I", 0))
    while peer.receive():
        pass
    peer.process.wait()
    print("ended")


main()
