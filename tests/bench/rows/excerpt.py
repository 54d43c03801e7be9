"""The last 50 lines of a run that failed, from a journal of 160 MB and of 4 GB, warm and cold, beside journalctl's."""

import glob
import os
import subprocess
import time

from bench import DISK, RUNS, Command, alternate, failing_job, failure, once, quiet, row, run, state, write

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
    handler = failure(folder)
    words = ("--no-pager", "-q")
    invocation = run("systemctl", "show", "-P", "InvocationID", "job.service").strip()
    excerpt = ["/srv/tools/excerpt", "job.service", invocation, str(int(time.time())), "50"]
    if "line 60" not in run(*excerpt):
        raise SystemExit("the excerpt has not the run's last line")

    def sends(lines):
        """A run of dispatch that sends one alert with so many lines of the journal, as a file."""
        config, sent = f"{DISK}/{lines}.toml", f"{folder}/sent-{lines}"
        write(config, f'[policy]\njournal_lines = {lines}\n[storm]\nincidents = 0\n[method.log]\nplugin = "file"\npath = "{sent}"\n')
        own = {"SYSALERT_STATE_DIR": folder, "SYSALERT_CONFIG": config}

        def prepare():
            subprocess.run(["sysalert", "db", "clear", "--all", "--yes"], check=True, stdout=subprocess.DEVNULL, env=os.environ | own)
            once(failing)
            # as the unit's first command leaves it: the journal is complete
            os.rename(f"{folder}/pending", f"{folder}/synced")
            if forgets:
                forget()

        failing = Command(handler.argv, user="sysalert", environment=own, prepare=failing_job)
        return Command(["sysalert", "dispatch"], user="sysalert", environment=own, prepare=prepare)

    forgets = False
    commands = {
        "sysalert": Command(excerpt, user="sysalert"),
        "journalctl -u UNIT -n 50": Command(["journalctl", *words, "-u", "job.service", "-n", "50"]),
        "journalctl _SYSTEMD_INVOCATION_ID=": Command(["journalctl", *words, f"_SYSTEMD_INVOCATION_ID={invocation}", "-n", "50"]),
    }
    alone = list(commands)
    # the whole of it, to see what else the journal's size costs
    commands |= {"dispatch": sends(50), "without": sends(0)}
    found = {}
    for how in ("warm", "cold"):
        forgets = how == "cold"
        if forgets:
            for name in alone:
                commands[name].prepare = forget
        samples = alternate(commands, runs=7 if forgets else RUNS)
        with open(f"{folder}/sent-50") as file:
            if "line 60" not in file.read():
                raise SystemExit("the message has not the run's last line")
        found["excerpt", how], found["dispatch", how] = samples["sysalert"], samples["dispatch"]
        row(f"excerpt of 50 lines, journal of {size}, {how}", "wall", {name: samples[name] for name in alone},
            budget=1 / 3 if size == "4 GB" else None, beside="journalctl -u UNIT -n 50")
        row(f"dispatch that sends one alert, journal of {size}, {how}", "wall",
            {"sysalert": samples["dispatch"], "without": samples["without"]})
    return found


quiet()
write("/etc/systemd/system/job.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for i in $(seq 60); do echo line $i; done; exit 3'\n")
run("systemctl", "daemon-reload")
ours = {}
for size, folder in SIZES.items():
    mounted = os.path.isdir(f"{DISK}/journal/{folder}")
    if not mounted:
        raise SystemExit("there is no journal: tests/bench/run makes it")
    # as journald's own folder, so that the handler's user may read it
    run("chgrp", "-R", "systemd-journal", f"{DISK}/journal/{folder}")
    run("chmod", "2755", f"{DISK}/journal/{folder}")
    run("mount", "--bind", f"{DISK}/journal/{folder}", f"/var/log/journal/{MACHINE}")
    run("systemctl", "restart", "systemd-journald")
    ours[size] = measure(size)
for what, name in (("excerpt", "excerpt of 50 lines"), ("dispatch", "dispatch that sends one alert")):
    for how in ("warm", "cold"):
        pair = {"sysalert": ours["4 GB"][what, how], "sysalert, 160 MB": ours["160 MB"][what, how]}
        row(f"{name}, 4 GB beside 160 MB, {how}", "wall", pair, budget=1.5, beside="sysalert, 160 MB")
