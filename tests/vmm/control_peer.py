#!/usr/bin/env python3
"""Clients of the control socket, good and bad ones, for control_test.sh.

Usage: control_peer.py SOCKET WHAT [ARGUMENT]...; status 0 when all is as it should be.
"""
import json
import socket
import sys
import time

PATH = sys.argv[1]


def dial(timeout=20):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(timeout)
    s.connect(PATH)
    return s


def read_all(s):
    data = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    return data


def ask(method, target, body=None, extra=""):
    """Returns status, media type, body."""
    s = dial()
    text = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{extra}"
    if body is not None:
        text += f"Content-Length: {len(body)}\r\n"
    s.sendall(text.encode() + b"\r\n" + (body or b""))
    head, _, data = read_all(s).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    if fields.get("transfer-encoding") == "chunked":
        whole = b""
        while data:
            size, _, data = data.partition(b"\r\n")
            n = int(size, 16)
            whole += data[:n]
            data = data[n + 2:]
        data = whole
    else:
        assert len(data) == (0 if method == "HEAD" else int(fields["content-length"])), "its length"
    return int(lines[0].split()[1]), fields["content-type"], data


def check(condition, text):
    if not condition:
        print("no: " + text)
        sys.exit(1)


def alive():
    status, _, data = ask("GET", "/v1/vm")
    check(status == 200 and json.loads(data)["state"] in ("running", "paused"), "it answers")


def json_schema(node):
    """OpenAPI 3.0 says 'nullable', JSON Schema has a type for that."""
    if isinstance(node, dict):
        node = {k: json_schema(v) for k, v in node.items()}
        if node.pop("nullable", False) and "type" in node:
            node["type"] = [node["type"], "null"]
        return node
    return [json_schema(v) for v in node] if isinstance(node, list) else node


def openapi(devices):
    """Each path and method of the document exists, and each answer is as it says."""
    import jsonschema
    import yaml

    doc = json_schema(yaml.safe_load(ask("GET", "/v1/openapi")[2]))

    def resolve(node):
        if "$ref" not in node:
            return node
        found = doc
        for key in node["$ref"][2:].split("/"):
            found = found[key]
        return resolve(found)

    bodies = {"/v1/devices/{name}/link": [b'{"up": false}', b'{"up": true}', b"{}"],
              "/v1/devices/{name}/balloon": [b'{"size": 1048576}', b'{"size": 0}', b"[]"]}
    queries = ["", "?form=text", "?form=no", "?tail=2", "?tail=x", "?since=1"]
    n = 0
    # What ends the VM comes last.
    paths = sorted(doc["paths"].items(), key=lambda p: p[0].endswith(("reset", "quit", "nmi")))
    for path, item in paths:
        for method, operation in item.items():
            if method == "parameters" or path.endswith(("/nmi", "/quit")):
                continue
            targets = [path.replace("{name}", d) for d in devices + ["none"]]
            if "{name}" not in path:
                targets = [path + q for q in (queries if method == "get" else [""])]
            for target in targets:
                for body in bodies.get(path, [None]) if method == "put" else [None]:
                    status, kind, data = ask(method.upper(), target, body)
                    what = f"{method} {target} {body}: {status} {kind}"
                    check(str(status) in operation["responses"], what + " is documented")
                    content = resolve(operation["responses"][str(status)])["content"]
                    kind = kind.split(";")[0]
                    check(kind in content, what + ": this type is documented")
                    schema = dict(content[kind]["schema"], components=doc["components"])
                    lines = data.splitlines() if kind == "application/x-ndjson" else [data]
                    for line in lines if "json" in kind else []:
                        try:
                            jsonschema.validate(json.loads(line), schema)
                        except jsonschema.ValidationError as error:
                            check(False, f"{what}: {error.message}")
                    n += 1
    check(n > 40, f"there are enough answers ({n})")
    print(f"{n} answers are as the document says")


def large_body():
    status, kind, data = ask("PUT", "/v1/devices/balloon/balloon", b"x" * 10_000_000)
    check(status == 413 and kind == "application/problem+json", "10 MB are refused")
    check("65536" in json.loads(data)["detail"], "the sentence says what is allowed")
    status, _, _ = ask("PUT", "/v1/devices/balloon/balloon", b"[" * 65536)
    check(status == 400, "65536 brackets are refused")


def half_requests():
    text = b"PUT /v1/devices/balloon/balloon HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{\"size\":"
    kept = []
    for n in range(len(text)):
        s = dial()
        s.sendall(text[:n])
        if n % 2:
            s.close()
        else:
            kept.append(s)
        if n % 20 == 0:
            alive()
    alive()


def many():
    """1000 connections that say nothing; others are answered all the while."""
    kept = []
    for n in range(1000):
        kept.append(dial())
        if n % 50 == 0:
            alive()
    alive()


def never_reads():
    """Follow the events, read none, and make so many that they do not fit anywhere."""
    s = dial()
    s.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(3000):
        ask("POST", "/v1/vm/pause")
        ask("POST", "/v1/vm/resume")
    alive()
    s.settimeout(1)
    data = b""
    try:
        while b'{"lost":' not in data:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
    except TimeoutError:
        pass
    # Dropped meanwhile, or told how much is missing.
    check(b'{"lost":' in data or not piece, "it was told what it lost")
    print("lost" if b'{"lost":' in data else "dropped")


def dropped():
    """Who takes nothing of a console that goes on is dropped."""
    s = dial()
    s.sendall(b"GET /v1/console?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(1)
        s.setblocking(False)
        try:
            # Says whether the other end is there, and takes nothing.
            s.send(b"x")
        except BrokenPipeError:
            return
        except BlockingIOError:
            pass
    check(False, "it is still there after a minute")


def latency(count):
    """Of 'count' questions, one after the other on one connection; in milliseconds."""
    s = dial()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        s.sendall(b"GET /v1/vm HTTP/1.1\r\nHost: x\r\n\r\n")
        data = s.recv(65536)
        check(data.startswith(b"HTTP/1.1 200") and data.endswith(b"}"), "it answers")
        times.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.005)
    times.sort()
    print(f"median {times[count // 2]:.3f} ms, 90 % {times[count * 9 // 10]:.3f} ms, "
          f"99 % {times[count * 99 // 100]:.3f} ms, largest {times[-1]:.3f} ms")
    return times[count // 2]


def is_refused():
    status = read_all(dial())
    check(status.startswith(b"HTTP/1.1 403"), f"another user is refused: {status}")
    print("refused")


what, rest = sys.argv[2], sys.argv[3:]
if what == "openapi":
    openapi(rest)
elif what == "latency":
    check(latency(int(rest[0])) < float(rest[1]), "it is quick")
else:
    {"large": large_body, "half": half_requests, "many": many, "never": never_reads,
     "dropped": dropped, "refused": is_refused, "alive": alive}[what]()
