"""A peer for the exec channel's tests: python3 broker_peer.py SCENARIO, its end of the socket on descriptor 3.

It speaks the frame format on its own (u32 JSON length, u32 payload length, JSON, payload), so that the tests do not
compare the engine's codec with itself.
"""
import json
import signal
import socket
import struct
import sys

sock = None
pending = b""


def exactly(n):
    global pending
    while len(pending) < n:
        chunk = sock.recv(65536)
        if not chunk:
            sys.exit(0)
        pending += chunk
    out, pending = pending[:n], pending[n:]
    return out


def take():
    jlen, plen = struct.unpack(">II", exactly(8))
    return json.loads(exactly(jlen)), exactly(plen)


def put(message, payload=b""):
    text = json.dumps(message).encode()
    sock.sendall(struct.pack(">II", len(text), len(payload)) + text + payload)


def echo(message, payload):
    put({"id": message["id"], "ok": True, "echo": message, "n": len(payload)}, payload)


def reversed_pair():
    """Answers only when both requests are there, the later one first, split at an awkward place."""
    first, second = take(), take()
    out = b""
    for message, payload in (second, first):
        text = json.dumps({"id": message["id"], "ok": True, "name": message["name"]}).encode()
        out += struct.pack(">II", len(text), len(payload)) + text + payload
    sock.sendall(out[:13])
    sock.sendall(out[13:])


def command():
    message, stdin = take()
    out, err = b"out:" + stdin, b"err\x00\xff"
    put({"id": message["id"], "ok": True, "exit": 3, "signal": None, "duration_ms": 1.5, "stdout_len": len(out),
         "stderr_len": len(err), "perturb": {"applied": message.get("perturb"), "args": message.get("args")}},
        out + err)


def refusal():
    message, _ = take()
    put({"id": message["id"], "ok": False, "error": {"code": "exec_not_declared", "message": "no command \"%s\"" %
         message["command"], "detail": "declared: a, b", "fix": "declare it"}})


def collect():
    """Takes events until one says "count", which is answered by how many there were."""
    seen, total = [], 0
    while True:
        message, payload = take()
        total += len(payload)
        if message.get("op") == "count":
            put({"id": message["id"], "ok": True, "seen": seen, "bytes": total})
        else:
            seen.append(message["name"])


SCENARIOS = {
    "echo": lambda: [echo(*take()) for _ in iter(int, 1)],
    "reversed": reversed_pair,
    "command": command,
    "refusal": refusal,
    "collect": collect,
    "resolve": lambda: (lambda m: put({"id": m["id"], "ok": True, "addresses": ["127.0.0.1", "::1"]}))(take()[0]),
    "resolve_empty": lambda: (lambda m: put({"id": m["id"], "ok": True, "addresses": []}))(take()[0]),
    "close_at_once": lambda: None,
    "close_after_request": take,
    "half_a_frame": lambda: (take(), sock.sendall(struct.pack(">II", 100, 0) + b"{\"id\"")),
    "no_frame": lambda: (take(), sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "wrong_id": lambda: (lambda m: put({"id": m["id"] + 7, "ok": True}))(take()[0]),
    "wrong_lengths": lambda: (lambda m: put({"id": m["id"], "ok": True, "stdout_len": 5, "stderr_len": 0},
                                            b"abc"))(take()[0]),
    "silent": signal.pause,
}

if __name__ == "__main__":
    sock = socket.socket(fileno=3)
    SCENARIOS[sys.argv[1]]()
