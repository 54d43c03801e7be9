"""1,000 short services with and without the system-wide override, and 1,000 that fail: the processor time of the service manager and
of all that sysalert starts, until the last of it was told."""

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
managers, of_ours = [], []
for _ in range(2):
    run("sysalert", "db", "clear", "--all", "--yes")
    before = ours(), used_by(1)
    manager, _ = started("ill", False)
    until(lambda: run("sysalert", "outbox", "list", "-o", "json").strip() == "[]" and quiet(), "an empty outbox")
    of_ours.append(ours() - before[0])
    managers.append(used_by(1) - before[1])
row("a storm of 1,000 failing units, until all is told: processor", "cpu", {"sysalert": of_ours, "the service manager": managers},
    budget=1, beside="the service manager")
