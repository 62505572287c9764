#!/usr/bin/env python3
"""Pictures of pages: 'png.py check FILE' fails if it is empty; 'png.py shrink IN OUT' writes it with
at most 256 colours, which is enough for text and small enough for a repository."""
import collections
import struct
import sys
import zlib


def read(path):
    """Width, height, and rows of (r, g, b)."""
    data = open(path, "rb").read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit(f"{path} is no PNG")
    at, packed, head = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    width, height, depth, kind, _, _, interlaced = head
    if depth != 8 or kind not in (2, 6) or interlaced:
        sys.exit(f"{path} has a form that is not read here")
    n = 3 if kind == 2 else 4
    raw, rows, before = zlib.decompress(packed), [], bytearray(width * n)
    for y in range(height):
        line = bytearray(raw[y * (width * n + 1):(y + 1) * (width * n + 1)])
        how, line = line[0], line[1:]
        for i in range(len(line)):
            left = line[i - n] if i >= n else 0
            up, corner = before[i], before[i - n] if i >= n else 0
            if how == 1:
                line[i] = line[i] + left & 255
            elif how == 2:
                line[i] = line[i] + up & 255
            elif how == 3:
                line[i] = line[i] + (left + up) // 2 & 255
            elif how == 4:
                p = left + up - corner
                near = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))
                line[i] = line[i] + near[2] & 255
        rows.append([tuple(line[i:i + 3]) for i in range(0, len(line), n)])
        before = line
    return width, height, rows


def check(path):
    _, height, rows = read(path)
    colours = collections.Counter(c for row in rows for c in row)
    busy = sum(len(set(row)) > 2 for row in rows)
    red = sum(n for (r, g, b), n in colours.items() if r > g + 80 and r > b + 80)
    green = sum(n for (r, g, b), n in colours.items() if g > r + 40 and g > b + 20)
    print(f"{len(colours)} colours, {busy} of {height} rows have something, {red} red, {green} green")
    if len(colours) < 50 or busy < height // 3 or red < 500 or green < 500:
        sys.exit(f"{path}: there is little in this picture")


def shrink(source, target):
    width, height, rows = read(source)
    palette = [c for c, _ in collections.Counter(c for row in rows for c in row).most_common(256)]
    number = {c: i for i, c in enumerate(palette)}

    def nearest(c):
        if c not in number:
            number[c] = min(range(len(palette)), key=lambda i: sum((x - y) ** 2 for x, y in zip(palette[i], c)))
        return number[c]

    raw = b"".join(b"\0" + bytes(nearest(c) for c in row) for row in rows)
    with open(target, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
                           (b"PLTE", bytes(x for c in palette for x in c)),
                           (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")):
            out.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


if sys.argv[1] == "check":
    check(sys.argv[2])
else:
    shrink(sys.argv[2], sys.argv[3])
