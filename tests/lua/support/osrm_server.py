"""OSRM's HTTP API from a StaticMatrix: python3 osrm_server.py MATRIX.csv, the write end of a pipe on descriptor 3.

Prints one line of JSON on the pipe: the port of "plain". /FAULT/route/v1/… answers with that fault; without one the answers are the
matrix's. Between points that the matrix does not have, a road is 1.3 times the straight line at 30 km/h.
"""
import csv
import json
import math
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

WAYS = {}
TABLES = [0]  # how many tables were asked for
FAILED = set()  # what was refused once


def read_matrix(path):
    with open(path, newline="") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            key = tuple(round(float(row[name]) * 1e7) for name in ("from_lat", "from_lng", "to_lat", "to_lng"))
            WAYS[key] = (float(row["duration_seconds"]), float(row["distance_meters"]))


def straight(a, b):
    p1, p2 = math.radians(a[0]), math.radians(b[0])
    h = (math.sin((p2 - p1) / 2) ** 2
         + math.cos(p1) * math.cos(p2) * math.sin(math.radians(b[1] - a[1]) / 2) ** 2)
    return 2 * 6371008.8 * math.asin(math.sqrt(h))


def way(a, b):
    if a == b:
        return 0.0, 0.0
    found = WAYS.get(tuple(round(v * 1e7) for v in (*a, *b)))
    distance = 1.3 * straight(a, b)
    return found or (distance / (30 / 3.6), distance)


def bend(fault, a, b, duration, distance):
    """A way as a broken map has it."""
    if a == b:
        return duration, distance
    if fault == "fast":
        return distance / 300, distance
    if fault == "crow":
        return duration, straight(a, b) * 0.5
    if fault == "oneway" and a < b:
        return 20 * duration + 3000, 20 * distance
    if fault == "drift":
        return 2 * duration, distance
    if fault == "wobble":
        return duration + TABLES[0], distance
    return duration, distance


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, headers=(), body=None, length=None):
        body = json.dumps(document).encode() if body is None else body
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def broken(self, fault):
        """Answers that are none of OSRM's; True where that was it."""
        if fault == "stall":
            time.sleep(60)
        elif fault == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "60")
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(1)
        elif fault == "truncated":
            self.answer(200, {"code": "Ok"}, length=1000)
            self.close_connection = True
        elif fault == "login":
            self.answer(200, None, body=b"<html>log in</html>")
        elif fault == "e500":
            self.answer(500, None, body=b"oops")
        elif fault == "e429":
            self.answer(429, None, headers=[("Retry-After", "1")], body=b"")
        elif fault == "flaky" and self.path not in FAILED:
            FAILED.add(self.path)
            self.answer(503, None, body=b"")
        elif fault == "elsewhere":
            self.answer(302, None, headers=[("Location", "http://127.0.0.2:1/")], body=b"")
        elif fault == "headers":
            self.answer(200, {"code": "Ok"}, headers=[("X-%d" % i, "x" * 1000) for i in range(100)])
        elif fault == "toobig":
            self.answer(400, {"code": "TooBig", "message": "Too many table coordinates"})
        else:
            return False
        return True

    def do_GET(self):
        parts = urlsplit(self.path).path.strip("/").split("/")
        fault = parts.pop(0) if parts[0] not in ("route", "table", "nearest") else ""
        if self.broken(fault):
            return
        service, points = parts[0], [tuple(float(v) for v in reversed(p.split(","))) for p in parts[3].split(";")]
        if service == "nearest":
            self.answer(200, {"code": "Ok", "waypoints": [{"location": points[0][::-1], "name": "",
                                                           "distance": 50000.0 if fault == "region" else 3.5}]})
        elif service == "route":
            duration, distance = bend(fault, *points, *way(*points))
            factor = 2 if fault == "disagree" else 1
            self.answer(200, {"code": "Ok", "routes": [{"duration": factor * duration + (600 if factor == 2 else 0),
                                                        "distance": distance}]})
        else:
            query = parse_qs(urlsplit(self.path).query)
            sides = [[points[int(i)] for i in query[side][0].split(";")] if side in query else points
                     for side in ("sources", "destinations")]
            TABLES[0] += 1
            if fault == "third" and TABLES[0] > 2:
                return self.answer(500, None, body=b"oops")
            self.table(fault, *sides)

    def table(self, fault, sources, destinations):
        ways = [[bend(fault, a, b, *way(a, b)) for b in destinations] for a in sources]
        durations = [[w[0] for w in row] for row in ways]
        distances = [[w[1] for w in row] for row in ways]
        if fault == "island":
            durations[0][1] = distances[0][1] = None
        elif fault == "short":
            durations.pop()
        elif fault == "negative":
            durations[0][1] = -1
        elif fault == "detour":
            durations[0][1] = durations[1][0] = durations[0][1] * 2 + 900
        self.answer(200, {"code": "Ok", "durations": durations, "distances": distances})


read_matrix(sys.argv[1])
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
os.write(3, (json.dumps({"plain": server.server_address[1]}) + "\n").encode())
os.close(3)
server.serve_forever()
