#!/usr/bin/env python3
"""The host's end of the agent's protocol, written anew from docs/agent.md.

    agent_peer.py [--leave] SCRIPT COMMAND...
            start COMMAND with the port as descriptor 3, run SCRIPT by the guest's shell, print what
            comes, and have the guest power off; the exit status is COMMAND's
    agent_peer.py --connect PATH SCRIPT
            the same over the socket PATH, which may take a while to be there; then go away

With --leave, too, the guest is left alone, but for the end of the session.
"""
import os
import socket
import struct
import subprocess
import sys
import time

HELLO, WELCOME, RUN, POWER, DATA, ENDED = 1, 3, 16, 22, 32, 48
HOW = {0: "status", 1: "signal", 2: "not started"}


class Peer:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(120)
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


def start(command):
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(command, pass_fds=[3], stdin=subprocess.DEVNULL,
                               preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
    theirs.close()
    return ours, process


def connect(path):
    for _ in range(600):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nobody listens at {path}")


def main():
    words, process, begin = sys.argv[1:], None, time.monotonic()
    leave = words[0] in ("--leave", "--connect")
    if words[0] == "--connect":
        script, peer = words[2], Peer(connect(words[1]))
    else:
        script, *command = words[leave:]
        sock, process = start(command)
        peer = Peer(sock)
    print(peer.greet())
    print(f"ready after {(time.monotonic() - begin) * 1000:.1f} ms")
    print(peer.run(1, "sh", "-c", script), flush=True)
    if leave:
        peer.sock.close()
    else:
        peer.send(POWER, 0, struct.pack("<I", 0))
        while peer.receive():
            pass
    if process:
        status = process.wait()
        print("ended", status)
        sys.exit(max(status, 0))


main()
