"""mailbox.py FILE: a mail server at 127.0.0.1:25 that takes everything, and writes down when (CLOCK_MONOTONIC, milliseconds)."""

import asyncio
import sys
import time

from aiosmtpd.controller import Controller


class Taker:
    async def handle_DATA(self, server, session, envelope):
        with open(sys.argv[1], "a") as file:
            file.write(f"{time.monotonic() * 1000}\n")
        return "250 taken"


Controller(Taker(), hostname="127.0.0.1", port=25).start()
asyncio.new_event_loop().run_forever()
