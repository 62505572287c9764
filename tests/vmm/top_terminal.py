#!/usr/bin/env python3
"""Run 'vireo top web' on a terminal: it draws, follows the size, and gives the terminal back."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time


def set_size(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def read_for(fd, seconds, until=None):
    data = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until and until in data):
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data += os.read(fd, 65536)
            except OSError:
                break
    return data


def session(vireo, key):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        # The size must be there before it looks.
        time.sleep(0.3)
        os.execv(vireo, [vireo, "top", "-d", "0.3", "web"])
    set_size(fd, 24, 80)
    before = termios.tcgetattr(fd)
    out = read_for(fd, 15, b"vcpu0")
    assert b"web: running" in out and b"vcpu0" in out, out
    set_size(fd, 10, 40)
    os.kill(pid, signal.SIGWINCH)
    assert read_for(fd, 15, b"web: running"), "nothing is drawn after a resize"
    os.write(fd, b"jjk" + key)
    read_for(fd, 1)
    end = time.monotonic() + 15
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError("it did not end")
        # What it writes has to be read; when its end is closed, it is just about to end.
        read_for(fd, 0.1)
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(status) == 0, status
    try:
        assert termios.tcgetattr(fd)[3] == before[3], "the terminal is not as it was"
    except termios.error:
        pass
    os.close(fd)


session(sys.argv[1], b"q")
session(sys.argv[1], b"\x03")
