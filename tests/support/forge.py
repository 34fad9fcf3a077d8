#!/usr/bin/python3
"""Plays the attacker who may write every file of the evidence, and, where a key is given, also holds that key.

    forge.py DIRECTORY CODE

CODE is Python that sees `records` (the ledger's, in order), `last` (the last that approves), and sign(record, KEYFILE), which has the
record signed anew. Then the chain, its hashes and its head are written as if nothing had happened. The format is made here by itself, from
its description in engine/run/ledger.h and evidence.h: canonical JSON, SHA-256, in-toto statement v1, DSSE, Ed25519 by OpenSSL.
"""
import base64
import copy
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

directory = pathlib.Path(sys.argv[1])
ledger = directory / "ledger.jsonl"


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def signature(key, data):
    with tempfile.NamedTemporaryFile() as message:
        message.write(data)
        message.flush()
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message.name],
                              check=True, capture_output=True).stdout


def key_id(key):
    return sha256(subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout)


def state(record, key):
    predicate = {k: v for k, v in record.items() if k not in ("hash", "statement")}
    subject = {k: record[k] for k in ("tenant", "target", "config_hash", "build_hash")}
    body = canonical({"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:gate-engine:onboarding-validation:v1",
                      "subject": [{"name": record["tenant"]["code"], "digest": {"sha256": sha256(canonical(subject))}}],
                      "predicate": predicate})
    kind = b"application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    envelope = canonical({"payload": base64.b64encode(body).decode(), "payloadType": kind.decode(), "signatures": [
        {"keyid": key_id(key), "sig": base64.b64encode(signature(key, pae)).decode()}]}) + b"\n"
    name = "%s-%d.json" % (record["tenant"]["code"], record["seq"])
    (directory / "statements" / name).write_bytes(envelope)
    record["statement"] = {"file": name, "sha256": sha256(envelope), "keyid": key_id(key)}


records = [json.loads(line) for line in ledger.read_text().splitlines()]
last = next((r for r in reversed(records) if r.get("approved")), None)
signing = {}


def sign(record, key):
    signing[id(record)] = key


def restate(record):
    """The digest of the statement as the file is now."""
    record["statement"]["sha256"] = sha256((directory / "statements" / record["statement"]["file"]).read_bytes())


exec(sys.argv[2], {"records": records, "last": last, "sign": sign, "restate": restate, "copy": copy.deepcopy, "directory": directory})

prev = "0" * 64
for i, record in enumerate(records):
    record["seq"], record["prev"] = i + 1, prev
    record.pop("hash", None)
    if id(record) in signing:
        state(record, signing[id(record)])
    prev = record["hash"] = sha256(canonical(record))
ledger.write_bytes(b"".join(canonical(r) + b"\n" for r in records))
(directory / "ledger.jsonl.head").write_bytes(
    canonical({"schema": "gate-engine/ledger-head/1", "seq": len(records), "hash": prev}) + b"\n")
