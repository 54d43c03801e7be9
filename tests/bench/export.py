"""export.py BYTES SEED END: so much of a journal, as text for systemd-journal-remote: a server with 200 units, one run after the other.

Every run has an invocation ID of its own; every 20th is of job.service, and fails. END is the time of the last, in seconds since 1970.
"""

import random
import sys

size, seed, end = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dice = random.Random(seed)
# what an entry takes in the file, about
entries = size // 530
at = end * 1_000_000 - entries * 20_000
word = lambda digits: f"{dice.getrandbits(digits * 4):0{digits}x}"
boot, machine = word(32), open("/etc/machine-id").read().strip()
out = sys.stdout.write
number = 0
while number < entries:
    unit = "job.service" if dice.randrange(20) == 0 else f"unit{dice.randrange(200)}.service"
    invocation, pid = word(32), dice.randrange(1000, 60000)
    common = (f"_BOOT_ID={boot}\n_MACHINE_ID={machine}\n_HOSTNAME=server\n_TRANSPORT=stdout\nPRIORITY=6\n_UID=0\n_GID=0\n"
              f"_SYSTEMD_CGROUP=/system.slice/{unit}\n_SYSTEMD_UNIT={unit}\n_SYSTEMD_SLICE=system.slice\n"
              f"_SYSTEMD_INVOCATION_ID={invocation}\n_COMM=worker\nSYSLOG_IDENTIFIER=worker\n_PID={pid}\n")
    for line in range(60):
        at += 20_000
        out(f"__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={at % 10**12}\n{common}"
            f"MESSAGE=line {line}: handled request {word(16)} of client {dice.randrange(10**6)} in {dice.randrange(900)} ms, {word(40)}\n\n")
    out(f"__REALTIME_TIMESTAMP={at + 1}\n__MONOTONIC_TIMESTAMP={at % 10**12 + 1}\n_BOOT_ID={boot}\n_MACHINE_ID={machine}\n"
        f"_HOSTNAME=server\n_TRANSPORT=journal\nPRIORITY=5\n_UID=0\n_PID=1\n_COMM=systemd\nSYSLOG_IDENTIFIER=systemd\n"
        f"_SYSTEMD_UNIT=init.scope\nUNIT={unit}\nINVOCATION_ID={invocation}\nMESSAGE={unit}: Deactivated successfully.\n\n")
    number += 61
