"""What a check of services costs, beside what people use to see the same. Runs in the guest; one row for each command."""

import os
import statistics
import subprocess
import sys
import time

RUNS = 21
COMMANDS = {
    "sysalert check services": ["sysalert", "check", "services", "--report", "none"],
    "systemctl list-units --all": ["systemctl", "list-units", "--all", "-o", "json", "--no-pager"],
}


def cpu_of(pid):
    """The processor time that a process has used, in milliseconds; the clock of the kernel ticks 100 times a second."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def bus():
    """The process ID of the message bus."""
    shown = subprocess.run(["systemctl", "show", "-P", "MainPID", "dbus.service"], capture_output=True, check=True)
    return int(shown.stdout)


def run(command, others):
    """One run: what it took, its processor time, that of those who answer it, and its greatest memory."""
    before = sum(map(cpu_of, others))
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 2):
        sys.exit(f"{command} ended with {process.returncode}")
    took = (time.monotonic() - started) * 1000
    return took, (used.ru_utime + used.ru_stime) * 1000, sum(map(cpu_of, others)) - before, used.ru_maxrss / 1024


def main():
    others = [1, bus()]
    listed = subprocess.run(["systemctl", "list-units", "--all", "--no-legend", "--plain"], capture_output=True, check=True)
    print(f"\n{len(listed.stdout.splitlines())} units are loaded; {RUNS} runs each, in turns; medians but for the answers' mean")
    print(f"{'':28} {'ms':>8} {'own CPU ms':>12} {'answers CPU ms':>15} {'MiB':>6}")
    runs = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        run(command, others)
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            runs[name].append(run(command, others))
    medians = {}
    for name, all_of in runs.items():
        took, own, answers, memory = zip(*all_of)
        row = [statistics.median(took), statistics.median(own), statistics.mean(answers), statistics.median(memory)]
        medians[name] = row
        print(f"{name:28} {row[0]:8.1f} {row[1]:12.1f} {row[2]:15.1f} {row[3]:6.1f}")
    ours, theirs = medians.values()
    print(f"{'ratio':28} {ours[0] / theirs[0]:8.2f} {(ours[1] + ours[2]) / (theirs[1] + theirs[2]):12.2f} (all CPU)")


main()
