"""A store that speaks S3 and verifies nothing, with what can go wrong between: python3 open_store.py DIR, the port on standard output.

DIR/fault names what goes wrong from now on (FAULTS below); where it is missing or empty nothing does. With DIR/server.crt and
DIR/server.key it speaks TLS.
"""
import os
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS = {}
DIR = sys.argv[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, **headers):
        self.answer(status, b"<Error><Code>%s</Code><Message>as asked</Message></Error>" % code.encode(), **headers)

    def raw(self, data):
        self.connection.sendall(data)
        self.close_connection = True

    def fault(self, name):
        """Answers by a fault. True: it did."""
        kind, _, value = name.partition(" ")
        if kind == "refuse":  # refuse STATUS CODE
            status, code = value.split(" ")
            self.refuse(int(status), code)
        elif kind == "status":
            self.answer(int(value), b"<html>no</html>")
        elif kind == "busy":
            self.answer(429, b"", Retry_After=value)
        elif kind == "skew":
            self.send_response_only(403)
            self.send_header("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
            body = b"<Error><Code>AccessDenied</Code></Error>"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")
        elif kind == "redirect":
            self.answer(307, b"", Location="http://127.0.0.1:1/elsewhere")
        elif kind == "headers":
            self.raw(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"x" * 1000) for i in range(100)) + b"\r\n")
        elif kind == "garbage":
            self.raw(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        elif kind == "nothing":
            self.close_connection = True
        elif kind == "slow":  # no first byte
            time.sleep(float(value))
            self.close_connection = True
        elif kind == "drip" and self.command == "GET":  # a body that never comes to its end
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(int(value) * 10):
                self.connection.sendall(b"x")
                time.sleep(0.1)
        elif kind == "truncated" and self.command == "GET":
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it")
        elif kind == "html" and self.command == "GET":
            self.answer(200, b"<html><body><h1>Please log in<br></body></html>")
        else:
            return False
        return True

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = ""
        if os.path.exists(DIR + "/fault"):
            with open(DIR + "/fault", encoding="utf-8") as f:
                name = f.read()
        if name and self.fault(name):
            return
        parts = urlsplit(self.path)
        query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        _, _, key = unquote(parts.path)[1:].partition("/")
        getattr(self, "on_" + self.command.lower())(key, query, body, name)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def on_put(self, key, query, body, name):
        if "partNumber" in query:
            OBJECTS[query["uploadId"]][int(query["partNumber"])] = body
        elif name != "forgets":
            OBJECTS[key] = body
        self.answer(200, b"", ETag='"x"')

    def on_post(self, key, query, body, name):
        if "uploads" in query:
            upload = "upload-%d" % len(OBJECTS)
            OBJECTS[upload] = {}
            return self.answer(200, b"<R><UploadId>%s</UploadId></R>" % upload.encode())
        parts = OBJECTS.pop(query["uploadId"])
        order = sorted(parts, reverse=name == "disorder")
        OBJECTS[key] = b"".join(parts[n] for n in order)
        if name == "joins badly":
            return self.answer(200, b"<Error><Code>InternalError</Code><Message>as asked</Message></Error>")
        return self.answer(200, b"  <CompleteMultipartUploadResult/>")

    def on_get(self, key, query, body, name):
        if key == "":
            return self.list(query.get("prefix", ""), name)
        if key not in OBJECTS:
            return self.refuse(404, "NoSuchKey")
        data = OBJECTS[key]
        if name == "corrupt" and len(data) > 3:
            data = data[:2] + bytes([data[2] ^ 1]) + data[3:]
        if self.headers.get("Range"):
            first, last = (int(n) for n in self.headers["Range"][len("bytes="):].split("-"))
            if first >= len(data):
                return self.refuse(416, "InvalidRange")
            part = data[first:last + 1]
            return self.answer(206, part, Content_Range="bytes %d-%d/%d" % (first, first + len(part) - 1, len(data)), ETag='"x"')
        return self.answer(200, data, ETag='"x"')

    on_head = on_get

    def list(self, prefix, name):
        keys = [] if name == "lists nothing" else sorted(k for k in OBJECTS if k.startswith(prefix) and isinstance(OBJECTS[k], bytes))
        body = "".join("<Contents><Key>%s</Key><Size>%d</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                       % (escape(k), len(OBJECTS[k])) for k in keys)
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>" if name == "list without end" else ""
        self.answer(200, ("<ListBucketResult>%s%s</ListBucketResult>" % (more, body)).encode())

    def on_delete(self, key, query, body, name):
        if name != "keeps":
            OBJECTS.pop(query.get("uploadId", key), None)
        self.answer(204)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if os.path.exists(DIR + "/server.crt"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DIR + "/server.crt", DIR + "/server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
