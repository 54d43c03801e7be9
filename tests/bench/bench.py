"""What the rows of `make bench` share: whole processes, in turns with what they are compared with, as medians and ratios.

A row prints one line of JSON for each thing that it measured: see Row. It runs in the guest, as root.
"""

import json
import os
import random
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

# On the machine's own disk: in the guest's memory an fsync would be free.
DISK = "/srv/disk"
SPAWN = "/srv/tools/spawn"
# The handler gives its lock back: what it has written to the log of the database is safe.
COMMITS = lambda folder: (f"{folder}/lock", f"{folder}/sysalert.db-wal")
RUNS = int(os.environ.get("RUNS", "21"))


@dataclass
class Sample:
    """What one run took: milliseconds, MB. `closed` is when the watched file was closed, `begun` the begin since the boot."""

    wall: float
    cpu: float
    memory: float
    status: int
    closed: float
    begun: float


@dataclass
class Command:
    """A command as it is measured. `prepare` runs before each time, and may give further variables; `closes` is a file whose
    close is waited for, and the one that must be written to before."""

    argv: list
    user: str = None
    environment: dict = field(default_factory=dict)
    closes: tuple = None
    prepare: object = None
    fine: tuple = (0,)


def once(command):
    """Runs it once."""
    further = command.prepare() if command.prepare else None
    argv = [SPAWN] + (["--closes", *command.closes] if command.closes else []) + command.argv
    identity = {"user": command.user, "group": command.user, "extra_groups": ["systemd-journal"]} if command.user else {}
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | command.environment | (further or {})
    ran = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False, **identity)
    if ran.returncode:
        sys.exit(f"{argv}: {ran.stderr}")
    wall, user, system, peak, status, closed, begun = map(int, ran.stdout.split())
    if status not in command.fine:
        sys.exit(f"{command.argv} ended with {status}: {ran.stderr}")
    return Sample(wall / 1000, (user + system) / 1000, peak * 1024 / 1e6, status, closed / 1000, begun / 1000)


def alternate(commands, runs=RUNS):
    """The samples of each command, by its name. They take turns, in another order each time, so that what the machine does
    beside strikes all alike."""
    samples = {name: [] for name in commands}
    order = list(commands)
    for command in commands.values():
        once(command)
    for _ in range(runs):
        random.shuffle(order)
        for name in order:
            samples[name].append(once(commands[name]))
    return samples


def row(what, figure, samples, budget=None, beside=None, ratios=True):
    """Prints a row: `figure` of the samples; the first command is ours. The budget is a number, or a share of what is
    `beside` (times the median of the pairs). `ratios=False`: what stands beside are parts of it."""
    values = {name: [getattr(sample, figure) if isinstance(sample, Sample) else sample for sample in all_of]
              for name, all_of in samples.items()}
    ours, *others = values
    ratios = {name: statistics.median(a / b for a, b in zip(values[ours], values[name]) if b) for name in others
              if ratios and any(values[name])}
    found = ratios.get(beside) if beside else statistics.median(values[ours])
    spread = lambda all_of: {"median": statistics.median(all_of), "least": min(all_of), "most": max(all_of)}
    print(json.dumps({
        "what": what,
        "unit": {"memory": "MB", "bytes": "bytes"}.get(figure, "ms"),
        "figures": {name: spread(all_of) for name, all_of in values.items()},
        "ratios": ratios,
        "budget": budget,
        "beside": beside,
        "met": None if budget is None else found <= budget,
    }), flush=True)


def run(*argv, **options):
    """A command that is not measured."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout


def used_by(*pids):
    """The processor time that these processes have used with all their threads, in milliseconds, as the scheduler counts it."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e6


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def quiet():
    """Nothing but the measured runs: dispatch and the checks wait."""
    subprocess.run(["systemctl", "stop", "sysalert-dispatch.timer", "sysalert-dispatch.path", "sysalert-check@services.timer",
                    "sysalert-check@sensors.timer", "sysalert-dispatch.service"], check=True)


def state(name):
    """An empty state folder of the user sysalert, on the disk."""
    path = f"{DISK}/{name}"
    subprocess.run(["rm", "-rf", path], check=True)
    subprocess.run(["install", "-d", "-o", "sysalert", "-g", "sysalert", "-m", "2750", path], check=True)
    return path


def failing_job():
    """Lets job.service fail, and gives what systemd tells its handler."""
    subprocess.run(["systemctl", "start", "job.service"], check=False, stderr=subprocess.DEVNULL)
    run("journalctl", "--sync")
    return {
        "MONITOR_UNIT": "job.service", "MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_CODE": "exited",
        "MONITOR_EXIT_STATUS": "3", "MONITOR_INVOCATION_ID": run("systemctl", "show", "-P", "InvocationID", "job.service").strip(),
    }


def failure(folder):
    """The handler of job.service, as systemd would start it; the first one, which makes the database, has been."""
    def between():
        # as systemd does it: dispatch ends each, and keeps the log short that the next one reads
        environment = {"PATH": os.environ["PATH"], "SYSALERT_STATE_DIR": folder}
        subprocess.run(["sysalert", "dispatch"], user="sysalert", group="sysalert", extra_groups=["systemd-journal"], env=environment,
                       check=True)
        return failing_job()

    handler = lambda closes: Command(["sysalert", "failure", "--", "job.service"], user="sysalert", closes=closes,
                                     environment={"SYSALERT_STATE_DIR": folder}, prepare=between if closes else failing_job)
    once(handler(None))
    return handler(COMMITS(folder))
