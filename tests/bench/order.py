"""order.ld, by the functions that those processes run which systemd starts. Runs in the guest, as root, and prints it."""

import glob
import os
import re
import sys
from collections import Counter

from bench import failing_job, quiet, run, state, write

PROGRAM = "/usr/bin/sysalert"
# Bytes: a name without its hash may be that of many, of which few are meant. One mapping's.
MOST_OF_OTHERS = 64 * 1024
HEAD = """\
/* What the processes run that systemd starts lies side by side: the kernel maps 64 KiB around each function that is called first,
   so that one function here and one there cost a failure 1.4 MB. What is not named follows; a name that is no more does no harm.
   tests/bench/order has written this. */
"""


def pattern(name):
    """A function's name without the hashes of its crates, which change with the compiler; the numbers stay."""
    return re.sub(r"(?<=Cs)[0-9A-Za-z]+_(?=\d)", "*_", name) if name.startswith("_R") else name


def sizes():
    """The bytes of each function."""
    lines = (line.split() for line in run("nm", "--print-size", "--defined-only", PROGRAM).splitlines())
    return {line[3]: int(line[1], 16) for line in lines if len(line) == 4 and line[2] in "tTwW"}


def functions(folder, *words, environment=None):
    """The functions that this runs."""
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/%p.callgrind", "--trace-children=yes", "--demangle=no",
        "--compress-strings=no", "sysalert", *words, user="sysalert", group="sysalert", extra_groups=["systemd-journal"],
        env={"PATH": os.environ["PATH"], "SYSALERT_STATE_DIR": folder} | (environment or {}))
    found, program = set(), None
    for path in glob.glob(f"{folder}/*.callgrind"):
        with open(path) as file:
            for line in file:
                key, _, value = line.rstrip("\n").partition("=")
                if key == "ob":
                    program = value
                elif key == "fn" and program == PROGRAM:
                    found.add(re.sub(r"'\d+$", "", value))
        os.remove(path)
    if len(found) < 100:
        sys.exit(f"{words}: {len(found)} functions: is the program without its symbols?")
    return found


quiet()
folder = state("order")
sensors = ("cpu", "memory", "storage", "pressure", "iostuck", "ssh", "units")
# each is measured in each run
write("/etc/sysalert/sysalert.toml", "[method.journal]\n" + "".join(f'[sensor.{name}]\nevery = "0s"\n' for name in sensors))
write("/etc/systemd/system/job.service", '[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo no disk; exit 3"\n')
run("systemctl", "daemon-reload")
look = ("check", "--report", "none", "--", "sensors")
well = {"MONITOR_UNIT": "well.service", "MONITOR_SERVICE_RESULT": "success", "MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "0",
        "MONITOR_INVOCATION_ID": "5" * 32}
# the first one makes the database, and that of the sensors what the next one reads again
functions(folder, "failure", "--", "job.service", environment=failing_job())
functions(folder, *look)
used = [
    (words, functions(folder, *words, environment=environment))
    for words, environment in (
        (("failure", "--", "job.service"), failing_job()),
        (("success", "--", "well.service"), well),
        (look, None),
        (("dispatch",), None),
        (("check", "--report", "none", "--", "services"), None),
    )
]
all_of, of_used = Counter(), Counter()
called = set().union(*(names for _, names in used))
for name, size in sizes().items():
    all_of[pattern(name)] += size
    of_used[pattern(name)] += size if name in called else 0
print(HEAD + "SECTIONS {\n.text.used : {")
done = set()
for words, names in used:
    print(f"/* sysalert {' '.join(words)} */")
    for name in sorted({pattern(name) for name in names} & all_of.keys() - done):
        done.add(name)
        if all_of[name] - of_used[name] <= MOST_OF_OTHERS:
            print(f"*(.text.{name})")
print("}\n} INSERT BEFORE .text;")
