"""A check of services, with few units loaded and with 5,000 more, beside `systemctl list-units`; and what the service manager
and the bus spend on the answers."""

import subprocess

from bench import Command, alternate, once, quiet, row, run, used_by, write

UNITS = "/etc/systemd/system"


def measure():
    loaded = len(run("systemctl", "list-units", "--all", "--no-legend", "--plain").splitlines())
    commands = {
        "sysalert": Command(["sysalert", "check", "services", "--report", "none"], fine=(0, 1, 2)),
        "systemctl list-units": Command(["systemctl", "list-units", "--all", "-o", "json", "--no-pager"]),
    }
    samples = alternate(commands)
    row(f"check services, {loaded:,} units loaded: processor", "cpu", samples, budget=30)
    row(f"check services, {loaded:,} units loaded: time", "wall", samples)
    # in a row of its own: what answers one of them must not be counted for the other
    answering = [1, int(run("systemctl", "show", "-P", "MainPID", "dbus.service"))]
    answers = {name: [] for name in commands}
    for _ in range(len(samples["sysalert"])):
        for name, command in commands.items():
            before = used_by(*answering)
            once(command)
            answers[name].append(used_by(*answering) - before)
    row(f"check services, {loaded:,} units loaded: processor of systemd and the bus", "cpu", answers)


quiet()
write("/etc/sysalert/sysalert.toml", '[services]\ngrace_after_boot = "0s"\n'
      'units = ["one.service", "rest@*.service", "gone.service"]\n[method.journal]\n')
write(f"{UNITS}/one.service", "[Service]\nExecStart=/bin/sleep infinity\n")
for name in ("rest@", "feast@"):
    write(f"{UNITS}/{name}.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
write(f"{UNITS}/holder.target", "[Unit]\nWants=" + " ".join(f"rest@{n}.service" for n in range(20)) + "\n")
run("systemctl", "daemon-reload")
run("systemctl", "start", "one.service", "holder.target")
measure()
write(f"{UNITS}/holder.target.d/many.conf", "[Unit]\n" + "".join(f"Wants=feast@{n}.service\n" for n in range(5000)))
run("systemctl", "daemon-reload")
measure()
# the rows after this one have few again
subprocess.run(["systemctl", "stop", "one.service", "holder.target"], check=True)
subprocess.run(f"rm -r {UNITS}/holder.target.d {UNITS}/holder.target {UNITS}/*@.service {UNITS}/one.service", shell=True, check=True)
run("systemctl", "daemon-reload")
