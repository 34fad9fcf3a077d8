"""Clients that no driver would be: slow ones, half-closed ones, hostile ones. Each speaks the protocol by itself, over the
socket or port that PGHOST and PGPORT name, to a server that asks for no password."""
import os
import socket
import struct
import subprocess


def connect():
    host, port = os.environ["PGHOST"], int(os.environ["PGPORT"])
    return socket.create_connection((host, port), 60)


def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


def startup(version=196608, **extra):
    body = struct.pack(">I", version) + b"user\0app_user\0database\0postgres\0application_name\0raw\0"
    for name, value in extra.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    body += b"\0"
    return struct.pack(">I", len(body) + 4) + body


def receive(s):
    head = b""
    while len(head) < 5:
        more = s.recv(5 - len(head))
        if not more:
            return None, None
        head += more
    left = struct.unpack(">I", head[1:])[0] - 4
    body = bytearray()
    while len(body) < left:
        more = s.recv(left - len(body))
        if not more:
            return None, None
        body += more
    return head[:1], bytes(body)


def until(s, kind):
    seen = []
    while True:
        got, body = receive(s)
        assert got is not None, (kind, seen)
        seen.append(got)
        if got == kind:
            return seen, body


def login(**extra):
    s = connect()
    s.sendall(startup(**extra))
    until(s, b"Z")
    return s


def works():
    subprocess.run(["psql", "-Xq", "-c", "select 1"], check=True, stdout=subprocess.DEVNULL)


GOOD = b"begin; set local app.current_tenant_id = 'x'; select count(*) from items; commit\0"

s = login()
s.sendall(message(b"Q", GOOD))
until(s, b"Z")

# A slow client: 80 MB wait for it, nobody else does.
slow = login()
slow.sendall(message(b"Q", b"select repeat('x', 1000) from generate_series(1, 80000)\0"))
works()
seen, _ = until(slow, b"Z")
assert seen.count(b"D") == 80000, len(seen)

# Half-closed: what was asked is answered, and then the connection ends.
half = login()
half.sendall(message(b"Q", b"select repeat('y', 100) from generate_series(1, 1000)\0"))
half.shutdown(socket.SHUT_WR)
seen, _ = until(half, b"Z")
assert seen.count(b"D") == 1000
assert receive(half) == (None, None)

# A statement of 3 MB passes whole, and a message byte by byte.
large = login()
large.sendall(message(b"Q", b"begin; set local app.current_tenant_id = 'x'\0"))
until(large, b"Z")
large.sendall(message(b"Q", b"select length('" + b"z" * 3000000 + b"')\0"))
until(large, b"D")
until(large, b"Z")
for byte in message(b"Q", b"select 2\0"):
    large.sendall(bytes([byte]))
until(large, b"Z")

# Protocol 3.2: the server, of 3.0, says so itself.
newer = connect()
newer.sendall(startup(version=196610))
seen, _ = until(newer, b"Z")
assert b"v" in seen, seen

# More than one request for encryption, and the login in one go.
both = connect()
both.sendall(struct.pack(">II", 8, 80877104))
assert both.recv(1) == b"N"
both.sendall(struct.pack(">II", 8, 80877103))
assert both.recv(1) == b"N"
both.sendall(startup() + message(b"Q", b"select 3\0"))
until(both, b"Z")
until(both, b"Z")

# Two queries at once, then a Sync nobody needs, then a fast-path call of a function (int4abs).
many = login()
many.sendall(message(b"Q", b"select 4\0") + message(b"Q", b"select 5; select 6\0") + message(b"S", b""))
for _ in range(3):
    until(many, b"Z")
many.sendall(message(b"F", struct.pack(">IHHHi", 1251, 1, 1, 1, 4) + b"\xff\xff\xff\xfb" + struct.pack(">H", 1)))
_, body = until(many, b"V")
assert body == b"\0\0\0\4\0\0\0\5", body
until(many, b"Z")

# Hostile bytes before and after the login harm nobody else.
for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\0", b"\xff" * 4096, b"\0\0\x27\x10\0\3\0\0" + b"a" * 9992):
    bad = connect()
    bad.sendall(bytes_)
    while bad.recv(4096):
        pass
for bytes_ in (b"Q\0\0\0\0", b"\0" * 64, message(b"B", b""), message(b"P", b"x"), message(b"Z", b"I"), b"Q\x7f\xff\xff\xffselect"):
    bad = login()
    bad.sendall(bytes_ + message(b"X", b""))
    bad.shutdown(socket.SHUT_WR)
    while bad.recv(4096):
        pass
works()
