#!/usr/bin/env python3
"""Ask a control socket at a steady rate, and say how long the answers took.

    control_load.py SOCKET RATE SECONDS

Prints "median MS worst99 MS n N".  One connection; each request at its time, whatever the one before it
took, so that a slow answer is not hidden by asking less.
"""

import http.client
import socket
import sys
import time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("vireo")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def main():
    path, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    connection = UnixConnection(path)
    took = []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        begin = time.monotonic()
        connection.request("GET", "/v1/vm")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"control_load: status {answer.status}")
        took.append(1000 * (time.monotonic() - begin))
        due += 1 / rate
    took.sort()
    print(f"median {took[len(took) // 2]:.3f} worst99 {took[len(took) * 99 // 100]:.3f} n {len(took)}")


main()
