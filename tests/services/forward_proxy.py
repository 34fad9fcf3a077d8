"""An HTTP proxy that takes every host for the loopback: python3 forward_proxy.py, its port on standard output.

So a host name that no name server knows, such as a bucket's, can be the host of a request.
"""
import http.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"proxy-connection", "connection", "keep-alive", "transfer-encoding"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def serve(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        behind = http.client.HTTPConnection("127.0.0.1", url.port, timeout=60)
        behind.putrequest(self.command, self.path[self.path.index("/", len("http://")):], skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                behind.putheader(name, value)
        behind.endheaders(body)
        reply = behind.getresponse()
        data = reply.read()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in HOP and name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Via", "1.1 test")
        self.send_header("Content-Length", reply.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        behind.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
