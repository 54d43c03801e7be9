"""The last 50 lines of a run that failed, from a journal of 160 MB and of 4 GB, warm and cold, beside journalctl's."""

import glob
import os
import subprocess

from bench import DISK, Command, alternate, failure, quiet, row, run, state, write

MACHINE = run("cat", "/etc/machine-id").strip()
SIZES = {"160 MB": "small", "4 GB": "large"}


def forget():
    """The disk has to be asked for all of the journal but what journald has mapped."""
    run("sync")
    for path in glob.glob(f"/var/log/journal/{MACHINE}/*"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def measure(size):
    folder = state("excerpt")
    failure(folder)
    words = ("--no-pager", "-q")
    invocation = run("systemctl", "show", "-P", "InvocationID", "job.service").strip()
    commands = {
        "sysalert": Command(["sysalert", "preview", "job.service"], user="sysalert", environment={"SYSALERT_STATE_DIR": folder}),
        "journalctl -u UNIT -n 50": Command(["journalctl", *words, "-u", "job.service", "-n", "50"]),
        "journalctl _SYSTEMD_INVOCATION_ID=": Command(["journalctl", *words, f"_SYSTEMD_INVOCATION_ID={invocation}", "-n", "50"]),
    }
    shown = subprocess.run(["setpriv", "--reuid=sysalert", "--regid=sysalert", "--groups=systemd-journal", "env",
                            f"SYSALERT_STATE_DIR={folder}", "sysalert", "preview", "job.service"], capture_output=True, text=True)
    if "line 60" not in shown.stdout:
        raise SystemExit(f"the message has not the run's last line:\n{shown.stdout}{shown.stderr}")
    warm = alternate(commands)
    row(f"excerpt of 50 lines, journal of {size}, warm", "wall", warm, budget=1 / 3, beside="journalctl -u UNIT -n 50")
    for command in commands.values():
        command.prepare = forget
    cold = alternate(commands, runs=7)
    row(f"excerpt of 50 lines, journal of {size}, cold", "wall", cold, budget=1 / 3, beside="journalctl -u UNIT -n 50")
    return {"warm": warm["sysalert"], "cold": cold["sysalert"]}


quiet()
write("/etc/systemd/system/job.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for i in $(seq 60); do echo line $i; done; exit 3'\n")
run("systemctl", "daemon-reload")
ours = {}
for size, folder in SIZES.items():
    mounted = os.path.isdir(f"{DISK}/journal/{folder}")
    if not mounted:
        raise SystemExit("there is no journal: tests/bench/run makes it")
    run("mount", "--bind", f"{DISK}/journal/{folder}", f"/var/log/journal/{MACHINE}")
    run("systemctl", "restart", "systemd-journald")
    ours[size] = measure(size)
for how in ("warm", "cold"):
    pair = {"sysalert": ours["4 GB"][how], "sysalert, 160 MB": ours["160 MB"][how]}
    row(f"excerpt of 50 lines, 4 GB beside 160 MB, {how}", "wall", pair, budget=1.5, beside="sysalert, 160 MB")
