"""Servers for the HTTP tests: python3 http_server.py [DIR], the write end of a pipe on descriptor 3.

Prints one line of JSON on the pipe: the port of "plain", "other" (another origin) and "proxy", and of a TLS server for every
NAME.crt with NAME.key in DIR.. The path says how a request is answered; counts are
kept by the query's key, so that tests can ask how often a thing was asked for.
"""
import glob
import json
import os
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PORTS = {}
COUNTS = {}
BARRIERS = {}
LOCK = threading.Lock()


def count(key):
    with LOCK:
        COUNTS[key] = COUNTS.get(key, 0) + 1
        return COUNTS[key]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass

    def answer(self, status, body=b"", headers=()):
        if status in (204, 304):
            body = b""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def raw(self, data, reset=False):
        """Sends exactly these bytes and closes, with a reset if asked."""
        self.connection.sendall(data)
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        self.server_name = self.server.name
        count("hits " + self.server_name)
        if self.server_name == "proxy":
            return self.answer(200, json.dumps({"via": "proxy", "path": self.path,
                                                "headers": dict(self.headers.items())}).encode())
        method = getattr(self, "on_" + parts.path.strip("/").split("/")[0], None)
        if method is None:
            return self.echo()
        return method()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = serve

    def echo(self):
        self.answer(200, json.dumps({
            "server": self.server_name, "method": self.command, "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()}, "body": self.body.decode("latin-1"),
        }).encode(), [("Content-Type", "application/json")])

    # meeting points: nobody is answered before the n-th has asked
    def on_meet(self):
        n = int(self.query["n"])
        with LOCK:
            barrier = BARRIERS.setdefault(self.query["key"], threading.Barrier(n))
        try:
            barrier.wait(20)
            self.answer(200, b"met")
        except threading.BrokenBarrierError:
            self.answer(500, b"alone")

    # a pricing service: a list of n prices for the tenant "prices-n", none for others
    def on_lists(self):
        code = urlsplit(self.path).path.rsplit("/", 1)[-1]
        if not code.startswith("prices-"):
            return self.answer(404, b"no list")
        return self.answer(200, json.dumps({"prices": [10 + i for i in range(int(code[7:]))]}).encode())

    def on_count(self):
        with LOCK:
            self.answer(200, str(COUNTS.get(self.query["key"], 0)).encode())

    def on_silent(self):
        self.connection.settimeout(60)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        self.close_connection = True

    def on_drip(self):
        n = int(self.query["n"])
        self.send_response(200)
        self.send_header("Content-Length", str(n))
        self.end_headers()
        for i in range(n):
            self.wfile.write(bytes([i % 256]))
            self.wfile.flush()

    def on_truncated(self):
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")

    def on_reset(self):
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.", reset=True)

    def on_nothing(self):
        self.raw(b"")

    def on_garbage(self):
        self.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    def on_large(self):
        self.answer(200, b"x" * int(self.query["n"]))

    def on_endless(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    def on_bomb(self):
        """A small gzip body of a megabyte, which a client that never asked for gzip must not inflate."""
        import gzip
        self.answer(200, gzip.compress(b"\0" * (1 << 20)), [("Content-Encoding", "gzip")])

    def on_headers(self):
        n, size = int(self.query["n"]), int(self.query["size"])
        self.answer(200, b"", [("X-%d" % i, "v" * size) for i in range(n)])

    def on_repeated(self):
        self.answer(200, b"", [("X-Many", "one"), ("x-many", "two"), ("Set-Cookie", "a=1, b"), ("Set-Cookie", "c=2"),
                               ("X-Empty", "")])

    def on_interim(self):
        self.raw(b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n"
                 b"HTTP/1.1 200 OK\r\nX-Late: yes\r\nContent-Length: 2\r\n\r\nok")

    def on_redirect(self):
        to = self.query["to"].replace("{host}", self.headers["Host"]).replace("{other}", "127.0.0.1:%d" % PORTS["other"])
        self.answer(int(self.query.get("status", "302")), b"moved", [("Location", to)])

    def on_loop(self):
        count("loop")
        self.answer(302, b"", [("Location", self.path)])

    def on_status(self):
        count(self.query.get("key", ""))
        headers = [("Retry-After", self.query["after"])] if "after" in self.query else []
        self.answer(int(self.query["is"]), b"sorry", headers)

    def on_flaky(self):
        if count(self.query["key"]) <= int(self.query["fail"]):
            headers = [("Retry-After", self.query["after"])] if "after" in self.query else []
            return self.answer(int(self.query["is"]), b"sorry", headers)
        return self.answer(200, b"well")

    def on_same(self):
        self.answer(200, self.body)

    def on_text(self):
        self.answer(200, self.query["is"].encode())


class Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def start(name, context=None):
    server = Server6(("::1", 0), Handler) if name == "six" else ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.name = name
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    PORTS[name] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    for name in ("plain", "other", "proxy"):
        start(name)
    try:
        start("six")  # the same over IPv6, where the machine has it
    except OSError:
        pass
    for cert in glob.glob(os.path.join(sys.argv[1], "*.crt")) if len(sys.argv) > 1 else []:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, cert[:-4] + ".key")
        start(os.path.basename(cert)[:-4], context)
    os.write(3, (json.dumps(PORTS) + "\n").encode())
    os.close(3)
    threading.Event().wait()
