"""Installed units on a booted systemd: from the exit of the failed process to the first commit and to the mail, each step named."""

import subprocess
import time

from bench import COMMITS, Command, once, row, run, write

RUNS = 21
UNITS = "/etc/systemd/system"
STATE = "/var/lib/sysalert"
TAKEN = "/run/taken"


def stamp(unit, which):
    """When this happened to the unit's main process, in milliseconds since the boot."""
    return int(run("systemctl", "show", "-P", f"ExecMain{which}TimestampMonotonic", unit)) / 1000


def until(true, what):
    """Looks every 2 ms; what is measured is stamped by others."""
    end = time.monotonic() + 30
    while not (found := true()):
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come")
        time.sleep(0.002)
    return found


def taken():
    with open(TAKEN) as file:
        return [float(line) for line in file]


def fail(handler, closes):
    """Lets a job fail that has this handler: when its process exited, and when the handler closed this file."""
    job = f"job-{handler}.service"
    sample = once(Command(["systemctl", "start", job], closes=closes, fine=(1,)))
    exited, closed = stamp(job, "Exit"), sample.begun + sample.closed
    return exited, closed


write("/etc/sysalert/sysalert.toml", '[method.mail]\nplugin = "email"\nto = ["root@localhost"]\n[storm]\nincidents = 0\n')
with open("/usr/lib/systemd/system/sysalert-failure@.service") as file:
    sandboxed = file.read()
# the same unit, that starts a program which only closes a file
toucher = "/usr/bin/touch /var/lib/sysalert/empty"
write(f"{UNITS}/empty@.service", sandboxed.replace("/usr/bin/sysalert failure -- %i", toucher))
write(f"{UNITS}/plain@.service", f"[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={toucher}\n")
for handler in ("sysalert-failure", "empty", "plain"):
    write(f"{UNITS}/job-{handler}.service", f"[Unit]\nOnFailure={handler}@%n.service\nStartLimitIntervalSec=0\n"
          "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no disk; exit 3'\n")
write(f"{STATE}/empty", "")
run("chown", "sysalert:sysalert", f"{STATE}/empty")
run("systemctl", "daemon-reload")
run("systemctl", "stop", "sysalert-dispatch.timer", "sysalert-check@services.timer")
run("systemctl", "start", "sysalert-dispatch.path")
write(TAKEN, "")
run("systemd-run", "--unit=mailbox", "/usr/bin/python3", "/srv/bench/mailbox.py", TAKEN)
until(lambda: subprocess.run(["bash", "-c", ": </dev/tcp/127.0.0.1/25"], stderr=subprocess.DEVNULL).returncode == 0, "the mail server")
# the very first makes the database
run("systemctl", "start", "sysalert-dispatch.service")
clear = lambda: subprocess.run(["sysalert", "db", "clear", "--all", "--yes"], check=True, stdout=subprocess.DEVNULL)


def settled():
    ran = subprocess.run(["systemctl", "show", "-P", "ActiveState", "sysalert-dispatch.service"], capture_output=True, text=True)
    return ran.stdout.strip() == "inactive"


first = {"sysalert": [], "empty handler, same sandbox": [], "empty handler, plain": []}
steps = {"first commit": [], "dispatch started": [], "sysalert": []}
for turn in range(RUNS + 1):
    for handler, name in (("empty", "empty handler, same sandbox"), ("plain", "empty handler, plain")):
        exited, closed = fail(handler, (f"{STATE}/empty", "-"))
        first[name].append(closed - exited)
    mails = len(taken())
    exited, closed = fail("sysalert-failure", COMMITS(STATE))
    until(lambda: len(taken()) > mails, "the mail")
    first["sysalert"].append(closed - exited)
    until(settled, "dispatch's end")
    steps["first commit"].append(closed - exited)
    steps["dispatch started"].append(stamp("sysalert-dispatch.service", "Start") - exited)
    steps["sysalert"].append(taken()[mails] - exited)
    clear()
    until(settled, "dispatch's end")
# the first turn warms
first = {name: values[1:] for name, values in first.items()}
beyond = [a - b for a, b in zip(first["sysalert"], first["empty handler, same sandbox"])]
row("exit of the process to first commit, booted systemd", "wall", first)
row("the same, beyond an empty handler with the same sandbox", "wall", {"sysalert": beyond}, budget=10)
row("exit of the process to mail accepted", "wall",
    {"sysalert": steps["sysalert"][1:], "of it to the first commit": steps["first commit"][1:],
     "of it to dispatch's start": steps["dispatch started"][1:]}, budget=150)
