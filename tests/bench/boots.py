"""boots.py SYSTEMD-HOST STAGE: what the system-wide override costs the service manager at a boot. Each boot is a guest of its own."""

import os
import subprocess
import sys

from bench import RUNS, row, used_by

HOST, STAGE = sys.argv[1:]
PREPARE = os.path.join(os.path.dirname(HOST), "prepare-guest")
NAME = f"boots-0-{os.getpid()}"
FAILURE = "OnFailure=sysalert-failure@%n.service"
SUCCESS = "OnSuccess=sysalert-success@%n.service"
OVERRIDES = {"sysalert": (FAILURE,), "no override": (), "with OnSuccess=": (FAILURE, SUCCESS)}


def host(*argv):
    return subprocess.run([HOST, *argv], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def boot(lines):
    """The manager's processor time until nothing is to be started any more, in milliseconds, and how many services there are then."""
    folder = '"$ROOT"/etc/systemd/system/service.d'
    words = " ".join(f"'{line}'" for line in ("[Unit]", *lines))
    override = f"mkdir -p {folder} && printf '%s\\n' {words} >{folder}/10-sysalert.conf"
    try:
        host("up", NAME, "--private-network", "--prepare", f"'{PREPARE}' before \"$ROOT\"", "--tree", STAGE, "--prepare",
             f"'{PREPARE}' after \"$ROOT\"", *(("--prepare", override) if lines else ()))
        used = used_by(int(host("pid", NAME)))
        services = host("run", NAME, "--", "systemctl", "list-units", "--type=service", "--state=active", "--no-legend", "--plain")
        return used, len(services.splitlines())
    finally:
        host("down", NAME)


boot(OVERRIDES["sysalert"])
costs, services = {name: [] for name in OVERRIDES}, 0
for _ in range(max(RUNS // 3, 1)):
    for name, lines in OVERRIDES.items():
        used, services = boot(lines)
        costs[name].append(used)
row(f"a boot of {services} services under the system-wide override: the manager's processor", "cpu", costs)
