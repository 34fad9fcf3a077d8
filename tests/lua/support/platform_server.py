"""A platform's API behind an API key: python3 platform_server.py KEY, the write end of a pipe on descriptor 3.

Prints one line of JSON on the pipe: the port of "plain". /FAULT/… answers with that fault: a login that lets in whom it must not, or
an answer that is none.
"""
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = sys.argv[1]
LOGINS = {
    "": lambda k: k == KEY,
    "login": lambda k: k == KEY,
    "everybody": lambda k: True,
    "anonymous": lambda k: not k or k == KEY,
    "prefix": lambda k: bool(k) and (k.startswith(KEY[:8])),
    "case": lambda k: bool(k) and k.lower() == KEY.lower(),
    "pattern": lambda k: k in (KEY, "%"),
    "nobody": lambda k: False,
}


ASKED = [0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def is_busy(self):
        """Answers two requests of three by what is worth to ask again for."""
        ASKED[0] += 1
        if ASKED[0] % 3 == 1:
            self.answer(503)
        elif ASKED[0] % 3 == 2:
            self.answer(429, [("Retry-After", "0")])
        return ASKED[0] % 3 != 0

    def do_GET(self):
        fault = self.path.strip("/").split("/")[0]
        key = self.headers.get("X-API-Key", "")
        if fault == "stall":
            time.sleep(60)
        elif fault == "broken":
            self.answer(500)
        elif fault == "unchanged":
            self.answer(200 if key == KEY else 304)
        elif fault == "limited":
            self.answer(200 if key == KEY else 429)
        elif fault == "moved":
            self.answer(301, [("Location", "https://user:%s@new.example/api?key=%s" % (key, key))])
        elif fault == "flaky" and self.is_busy():
            pass
        elif LOGINS[fault if fault in LOGINS else ""](key):
            self.answer(200)
        elif fault == "login":
            self.answer(302, [("Location", "/login")])
        else:
            self.answer(401)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
os.write(3, (json.dumps({"plain": server.server_address[1]}) + "\n").encode())
os.close(3)
server.serve_forever()
