"""Installed units on a booted systemd: from the exit of the failed process to the first commit and to the mail, each step named,
beside the same chain of units that does nothing."""

import subprocess
import time

from bench import COMMITS, RUNS, Command, once, row, run, write

UNITS = "/etc/systemd/system"
INSTALLED = "/usr/lib/systemd/system"
STATE = "/var/lib/sysalert"
FLAGS = "/run/sysalert"
TAKEN = "/run/taken"
PROGRAM, FIRST_COMMAND, PLUGINS = "/usr/bin/sysalert", "/usr/bin/find", "/usr/lib/sysalert/bundle.so"
SANDBOXED = "the same units, empty"
# What happens on the way, in this order: what is done with which file.
STEPS = {
    "the handler's program is started": f"open {PROGRAM}",
    "the event is safe": f"close {STATE}/lock",
    "the flag is raised": f"create {FLAGS}/pending",
    "dispatch's unit runs its first command": f"open {FIRST_COMMAND}",
    "the journal is complete": f"moved {FLAGS}/synced",
    "dispatch is started": f"open {PROGRAM}",
    "the flag is down": f"delete {FLAGS}/synced",
    "the alert is claimed": f"write {STATE}/sysalert.db-wal",
    "the plugin is loaded": f"open {PLUGINS}",
}


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


def fail(handler, closes=None):
    """Lets a job fail that has this handler: when its process exited (milliseconds since the boot), and when the handler closed
    this file."""
    job = f"job-{handler}.service"
    sample = once(Command(["systemctl", "start", job], closes=closes, fine=(1,)))
    exited = int(run("systemctl", "show", "-P", "ExecMainExitTimestampMonotonic", job)) / 1000
    return exited, sample.begun + sample.closed


def until_mail(handler):
    """The same: how long until the mail was accepted, and what was stamped on the way."""
    mails = len(taken())
    paths = (PROGRAM, FIRST_COMMAND, PLUGINS, FLAGS, f"{STATE}/lock", f"{STATE}/sysalert.db-wal")
    with subprocess.Popen(["/srv/tools/stamps", *paths], stdout=subprocess.PIPE, text=True) as stamps:
        stamps.stdout.readline()
        exited, _ = fail(handler)
        until(lambda: len(taken()) > mails, "the mail")
        stamps.terminate()
        told = [line.rstrip().split(" ", 1) for line in stamps.stdout]
    return taken()[mails] - exited, [(int(at) / 1000 - exited, what) for at, what in told if int(at) / 1000 >= exited]


def steps(told):
    """When each step of STEPS came."""
    place, found = iter(told), {}
    for name, what in STEPS.items():
        if name == "the event is safe":
            # the lock was given back after something was written
            next(at for at, told in place if told == f"write {STATE}/sysalert.db-wal")
        found[name] = next((at for at, told in place if told == what), None)
        if found[name] is None:
            raise SystemExit(f"{name}: not seen among {told}")
    return found


def unit(name, text):
    write(f"{UNITS}/{name}", text)


write("/etc/sysalert/sysalert.toml", '[method.mail]\nplugin = "email"\nto = ["root@localhost"]\n[storm]\nincidents = 0\n')
with open(f"{INSTALLED}/sysalert-failure@.service") as file:
    handler = file.read()
with open(f"{INSTALLED}/sysalert-dispatch.service") as file:
    dispatch = [line for line in file if not line.startswith("ExecStart")]
# the same units that start programs which only close a file, raise a flag, send a mail
ours = "/usr/bin/sysalert failure -- %i"
toucher = f"/usr/bin/touch {STATE}/empty"
unit("empty@.service", handler.replace(ours, toucher))
unit("plain@.service", f"[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={toucher}\n")
unit("raise@.service", handler.replace(ours, f"/usr/bin/touch {FLAGS}/empty"))
unit("mail.path", f"[Path]\nPathExists={FLAGS}/empty\n")
unit("mail.service", "".join(dispatch) + f"ExecStart=/srv/bench/mail.sh {FLAGS}/empty\n")
for name in ("sysalert-failure", "empty", "plain", "raise"):
    unit(f"job-{name}.service", f"[Unit]\nOnFailure={name}@%n.service\nStartLimitIntervalSec=0\n"
         "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no disk; exit 3'\n")
write(f"{STATE}/empty", "")
run("chown", "sysalert:sysalert", f"{STATE}/empty")
run("systemctl", "daemon-reload")
run("systemctl", "stop", "sysalert-dispatch.timer", "sysalert-check@services.timer")
write(TAKEN, "")
run("systemd-run", "--unit=mailbox", "/usr/bin/python3", "/srv/bench/mailbox.py", TAKEN)
until(lambda: subprocess.run(["bash", "-c", ": </dev/tcp/127.0.0.1/25"], stderr=subprocess.DEVNULL).returncode == 0, "the mail server")
# the very first makes the database and the folder of the flags
run("systemctl", "start", "sysalert-dispatch.service")
run("systemctl", "start", "sysalert-dispatch.path", "mail.path")


def settled():
    ran = subprocess.run(["systemctl", "is-active", "sysalert-dispatch.service", "mail.service"], capture_output=True, text=True)
    return set(ran.stdout.split()) == {"inactive"}


def clear():
    until(settled, "dispatch's end")
    subprocess.run(["sysalert", "db", "clear", "--all", "--yes"], check=True, stdout=subprocess.DEVNULL)
    until(settled, "dispatch's end")


# the very first failure makes the log of the database
until_mail("sysalert-failure")
clear()
first = {"sysalert": [], "empty handler, same sandbox": [], "empty handler, plain": []}
mail, passed = {"sysalert": [], SANDBOXED: []}, {name: [] for name in STEPS}
for _ in range(RUNS):
    for name, handler, closes in (("sysalert", "sysalert-failure", COMMITS(STATE)),
                                  ("empty handler, same sandbox", "empty", (f"{STATE}/empty", "-")),
                                  ("empty handler, plain", "plain", (f"{STATE}/empty", "-"))):
        exited, closed = fail(handler, closes)
        first[name].append(closed - exited)
        clear()
    for name, handler in (("sysalert", "sysalert-failure"), (SANDBOXED, "raise")):
        took, told = until_mail(handler)
        mail[name].append(took)
        if name == "sysalert":
            for step, at in steps(told).items():
                passed[step].append(at)
        clear()
beyond = [a - b for a, b in zip(first["sysalert"], first["empty handler, same sandbox"])]
row("exit of the process to first commit, booted systemd", "wall", first)
row("the same, beyond an empty handler with the same sandbox", "wall", {"sysalert": beyond}, budget=10)
row("exit of the process to mail accepted", "wall", mail, budget=150)
row("on the way there", "wall", {"sysalert": mail["sysalert"]} | {f"{name}:": found for name, found in passed.items()}, ratios=False)
