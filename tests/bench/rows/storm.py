"""1,000 short services with and without the system-wide override, and 1,000 that fail: the processor time of the service manager and
of all that sysalert starts, until the last of it was told; beside the floor: the same units, empty."""

import subprocess
import time

from bench import row, run, used_by, write

UNITS = "/etc/systemd/system"
SERVICES = 1000
OURS = "/sys/fs/cgroup/sysalert.slice/cpu.stat"


def ours():
    """What the processes of sysalert's units have used, in milliseconds."""
    try:
        with open(OURS) as file:
            return int(next(line for line in file if line.startswith("usage_usec")).split()[1]) / 1000
    except FileNotFoundError:
        return 0.0


def until(true, what):
    end = time.monotonic() + 300
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come")
        time.sleep(0.1)


def quiet():
    jobs = run("systemctl", "list-jobs", "--no-legend")
    busy = run("systemctl", "list-units", "--no-legend", "--plain", "--state=activating,deactivating")
    return not jobs.strip() and not busy.strip()


def started(unit, block):
    """What starting so many of them costs each: the manager, and sysalert."""
    before = used_by(1), ours()
    names = [f"{unit}@{number}.service" for number in range(SERVICES)]
    subprocess.run(["systemctl", "start", *([] if block else ["--no-block"]), *names], check=False, stderr=subprocess.DEVNULL)
    until(quiet, "an idle systemd")
    return used_by(1) - before[0], ours() - before[1]


write(f"{UNITS}/sysalert-.service.d/50-slice.conf", "[Service]\nSlice=sysalert.slice\nCPUAccounting=yes\n")
for unit, command in (("well", "/bin/true"), ("ill", "/bin/false")):
    write(f"{UNITS}/{unit}@.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={command}\nSlice=system.slice\n")
write("/etc/sysalert/sysalert.toml", '[method.log]\nplugin = "file"\npath = "/var/log/sysalert/alerts.json"\n')
run("systemctl", "daemon-reload")
run("systemctl", "stop", "sysalert-dispatch.timer", "sysalert-check@services.timer")
started("well", True)
costs = {"sysalert": [], "no override": [], "with OnSuccess=": []}
override = f"{UNITS}/service.d/10-sysalert.conf"
for _ in range(3):
    subprocess.run(["rm", "-f", override], check=True)
    for name, text in (("no override", None), ("sysalert", "[Unit]\nOnFailure=sysalert-failure@%n.service\n"),
                       ("with OnSuccess=", "[Unit]\nOnFailure=sysalert-failure@%n.service\nOnSuccess=sysalert-success@%n.service\n")):
        if text:
            write(override, text)
        run("systemctl", "daemon-reload")
        costs[name].append(started("well", True)[0] / SERVICES)
row("a short service under the system-wide override: the manager's processor", "cpu", costs)
write(override, "[Unit]\nOnFailure=sysalert-failure@%n.service\n")
run("systemctl", "daemon-reload")
run("systemctl", "start", "sysalert-dispatch.path")


def storm(told):
    """What 1,000 that fail cost until all is told: sysalert, and the manager."""
    before = ours(), used_by(1)
    started("ill", False)
    until(lambda: told() and quiet(), "the last message")
    return ours() - before[0], used_by(1) - before[1]


def ours_told():
    return run("sysalert", "outbox", "list", "-o", "json").strip() == "[]"


def units_without_work():
    """The same units, in the same sandboxes: a handler that raises a flag, a dispatch that takes it down and waits as long as
    sysalert's does while a digest is to come."""
    installed = {}
    for name in ("sysalert-failure@", "sysalert-dispatch"):
        with open(f"/usr/lib/systemd/system/{name}.service") as file:
            installed[name] = "".join(line for line in file if not line.startswith(("ExecStart", "Wants=sysalert-dispatch")))
    flag = "/run/sysalert/empty"
    write(f"{UNITS}/sysalert-empty@.service", installed["sysalert-failure@"] + f"ExecStart=/usr/bin/touch {flag}\n")
    write(f"{UNITS}/sysalert-idle.service", installed["sysalert-dispatch"] + f"ExecStart=/bin/sh -c 'rm -f {flag}; sleep 30'\n")
    write(f"{UNITS}/sysalert-idle.path", f"[Path]\nPathExists={flag}\n")
    write(override, "[Unit]\nOnFailure=sysalert-empty@%n.service\n")


of_ours, managers, floors = [], [], []
for _ in range(2):
    run("sysalert", "db", "clear", "--all", "--yes")
    for samples, used in zip((of_ours, managers), storm(ours_told)):
        samples.append(used)
run("systemctl", "stop", "sysalert-dispatch.path")
units_without_work()
run("systemctl", "daemon-reload")
run("systemctl", "start", "sysalert-idle.path")
for _ in range(2):
    floors.append(storm(lambda: True)[0])
run("systemctl", "stop", "sysalert-idle.path")
row("a storm of 1,000 failing units, until all is told: processor", "cpu",
    {"sysalert": of_ours, "the service manager": managers, "the same units, empty": floors}, budget=1, beside="the service manager")
