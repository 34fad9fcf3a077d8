"""pilot_server.py DIR: a small HTTP server for specs, on the loopback.

DIR/answers.json, read at each request, maps a path to {"status", "body", "headers"}; what is not there is 404. Each request is kept as
DIR/requests/N.json: method, path, query, headers, body. DIR/port gets the port once it listens.
"""
import http.server
import json
import os
import sys
import urllib.parse

directory = sys.argv[1]
os.makedirs(directory + "/requests", exist_ok=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        name = "%s/requests/%03d.json" % (directory, len(os.listdir(directory + "/requests")) + 1)
        with open(name, "w") as f:
            json.dump({"method": self.command, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)),
                       "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body}, f)
        with open(directory + "/answers.json") as f:
            told = json.load(f).get(url.path, {"status": 404})
        out = told.get("body", "")
        out = (out if isinstance(out, str) else json.dumps(out)).encode()
        self.send_response(told.get("status", 200))
        for k, v in told.get("headers", {}).items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(directory + "/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(directory + "/port.new", directory + "/port")
server.serve_forever()
