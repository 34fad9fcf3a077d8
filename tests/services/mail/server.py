"""An SMTP server (aiosmtpd) for the mail specs: TLS, AUTH, and faults on demand.

server.py DIR: DIR has good.crt and good.key (and wrong.*, expired.*). What is delivered goes to DIR/mail/N.eml, whole, its envelope to
N.json. DIR/fault, read at each message, says what goes wrong: rcpt450, data451, data554, stall (no reply to the end of the data), cut
(delivered, and the connection ended before the reply), hold (delivered, and no reply), cutlost (the same, not delivered), early (the connection ends at RCPT).
DIR/ports gets the ports when all listen: starttls, implicit, plain (no TLS), wrong, expired.
"""
import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

directory = sys.argv[1]
os.makedirs(directory + "/mail", exist_ok=True)
count = 0


def fault():
    try:
        with open(directory + "/fault") as f:
            return f.read().strip()
    except FileNotFoundError:
        return ""


def deliver(envelope):
    global count
    count += 1
    name = "%s/mail/%03d" % (directory, count)
    with open(name + ".eml.new", "wb") as f:
        f.write(envelope.original_content)
    with open(name + ".json", "w") as f:
        json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos}, f)
    os.rename(name + ".eml.new", name + ".eml")


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if fault() == "rcpt450":
            return "450 4.2.1 The mailbox is busy"
        if fault() == "early":
            server.transport.abort()
            return "421 gone"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        now = fault()
        if now.startswith("data"):
            return now[4:] + " 5.7.1 Not today"
        if now == "stall":
            await asyncio.sleep(3600)
        if now != "cutlost":
            deliver(envelope)
        if now == "hold":
            await asyncio.sleep(3600)
        if now.startswith("cut"):
            server.transport.abort()
        return "250 2.0.0 Taken as 94"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(handled=False, success=data.login == b"gate" and data.password == b"mail-password-1")


def context(name):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain("%s/%s.crt" % (directory, name), "%s/%s.key" % (directory, name))
    return c


async def main():
    loop = asyncio.get_running_loop()
    ports = {}

    async def listen(name, tls, starttls, auth=True):
        def make():
            return SMTP(Handler(), hostname="mail.test", tls_context=starttls, require_starttls=starttls is not None,
                        authenticator=authenticate, auth_required=auth, auth_require_tls=starttls is not None)
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
        ports[name] = server.sockets[0].getsockname()[1]
        return server

    servers = [await listen("starttls", None, context("good")), await listen("implicit", context("good"), None),
               await listen("plain", None, None, False), await listen("wrong", None, context("wrong")),
               await listen("expired", None, context("expired"))]
    with open(directory + "/ports.new", "w") as f:
        json.dump(ports, f)
    os.rename(directory + "/ports.new", directory + "/ports")
    await asyncio.gather(*(s.serve_forever() for s in servers))

asyncio.run(main())
