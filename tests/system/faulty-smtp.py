#!/usr/bin/env python3
"""A mail server that fails in one chosen way: faulty-smtp.py MODE [PORT], by default port 2525.

  451             every mail is put off ("451 try again later") after its content came
  550             every recipient is refused for good
  hang            takes the connection and never says a word
  hang-ehlo, hang-starttls, hang-auth, hang-mail, hang-rcpt, hang-data
                  is polite, but never answers to this command
  hang-tls        answers to STARTTLS, and never to the handshake that follows
  hang-content    is polite, but never answers to the content of a mail
  cut-after-data  takes the content of a mail and drops the connection before it answers
  accept          nothing fails; for comparison

What came in stays in /var/lib/faulty-smtp/NNNN.eml, one file for each content received, so that a
test can compare the Message-ID of two tries.
"""

import asyncio
import os
import pathlib
import socket
import sys

from aiosmtpd.smtp import SMTP

KEPT = pathlib.Path("/var/lib/faulty-smtp")


class Handler:
    def __init__(self, mode):
        self.mode = mode

    async def silence_at(self, verb):
        if self.mode == f"hang-{verb}":
            await asyncio.sleep(3600)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        await self.silence_at("ehlo")
        session.host_name = hostname
        return [responses[0], "250-STARTTLS", "250-AUTH PLAIN", *responses[1:]]

    async def handle_MAIL(self, server, session, envelope, address, options):
        await self.silence_at("mail")
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        await self.silence_at("rcpt")
        if self.mode == "550":
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        number = len(list(KEPT.glob("*.eml")))
        # complete under its own name first: a test may look at any moment
        partial = KEPT / "partial"
        partial.write_bytes(envelope.original_content)
        partial.rename(KEPT / f"{number:04}.eml")
        if self.mode == "451":
            return "451 4.3.0 try again later"
        await self.silence_at("content")
        if self.mode == "cut-after-data":
            server.transport.abort()
        return "250 OK"


class Server(SMTP):
    """What it offers it has no certificate and no passwords for: it falls silent there."""

    async def smtp_STARTTLS(self, arg):
        if self.event_handler.mode == "hang-tls":
            await self.push("220 go ahead")
        await asyncio.sleep(3600)

    async def smtp_AUTH(self, arg):
        await asyncio.sleep(3600)

    async def smtp_DATA(self, arg):
        await self.event_handler.silence_at("data")
        await super().smtp_DATA(arg)


async def silence(reader, writer):
    await reader.read()
    writer.close()


def ready():
    """Tells systemd (Type=notify) that the port is open."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


async def main():
    mode = sys.argv[1]
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 2525
    if f" {mode}" not in __doc__.replace(",", ""):
        sys.exit(__doc__)
    KEPT.mkdir(parents=True, exist_ok=True)
    if mode == "hang":
        server = await asyncio.start_server(silence, ["127.0.0.1", "::1"], port)
    else:
        server = await asyncio.get_running_loop().create_server(
            lambda: Server(Handler(mode), hostname="faulty.example.test"), ["127.0.0.1", "::1"], port
        )
    ready()
    async with server:
        await server.serve_forever()


asyncio.run(main())
