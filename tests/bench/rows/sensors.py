"""A look at all sensors, beside node_exporter answering one scrape, a cycle of monit, a Python script that reads the
same, and the floor: a C program that reads them, asks the journal and the service manager, and commits."""

import os
import subprocess
import time
import urllib.request

from bench import DISK, RUNS, Command, alternate, quiet, row, state, used_by, write

NODE = "http://127.0.0.1:9100/metrics"
CYCLES = 3


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("VmRSS"))


def scrapes():
    """The processor time and the memory of node_exporter for each scrape."""
    with subprocess.Popen(["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100"], stderr=subprocess.PIPE) as server:
        while b"Listening" not in (line := server.stderr.readline()) and b"TLS is disabled" not in line:
            if not line:
                raise SystemExit("node_exporter did not start")
        ask = lambda: urllib.request.urlopen(NODE).read()
        ask()
        used, memory = [], []
        for _ in range(RUNS):
            before = used_by(server.pid)
            ask()
            used.append(used_by(server.pid) - before)
            memory.append(resident(server.pid))
        server.terminate()
    return used, memory


def cycles():
    """The same of monit, for each cycle: it counts them in whole seconds."""
    with open("/root/monitrc", "w") as file:
        file.write("set daemon 1\nset idfile /root/monit.id\nset statefile /root/monit.state\nset pidfile /root/monit.pid\n"
                   "check system here\n  if loadavg (5min) > 4 then alert\n  if memory usage > 92% then alert\n"
                   "  if cpu usage (user) > 95% then alert\ncheck filesystem root with path /\n  if space usage > 90% then alert\n")
    os.chmod("/root/monitrc", 0o600)
    with subprocess.Popen(["monit", "-I", "-c", "/root/monitrc"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as monit:
        # the first is more than the others: it begins
        time.sleep(2)
        used, memory = [], []
        for _ in range(CYCLES):
            before, begun = used_by(monit.pid), time.monotonic()
            time.sleep(2)
            used.append((used_by(monit.pid) - before) / (time.monotonic() - begun))
            memory.append(resident(monit.pid))
        monit.terminate()
    return used, memory


quiet()
folder = state("sensors")
# each is measured in each run
write("/etc/sysalert/sysalert.toml", "".join(f'[sensor.{name}]\nevery = "0s"\n'
                                             for name in ("cpu", "memory", "storage", "pressure", "iostuck", "ssh", "units")))
ours = Command(["sysalert", "check", "--report", "none", "--", "sensors"], user="sysalert", fine=(0, 1, 2),
               environment={"SYSALERT_STATE_DIR": folder})
state("floor")
samples = alternate({
    "sysalert": ours,
    "C, the same": Command(["/srv/tools/floor", "sensors", f"{DISK}/floor"], user="sysalert"),
    "Python": Command(["/usr/bin/python3", "/srv/bench/sensors.py"], user="sysalert"),
})
(scrape, scraper), (cycle, cycler) = scrapes(), cycles()
cpu = {name: [sample.cpu for sample in all_of] for name, all_of in samples.items()}
memory = {name: [sample.memory for sample in all_of] for name, all_of in samples.items()}
row("check sensors: processor", "cpu", cpu | {"node_exporter, one scrape": scrape, "monit, one cycle": cycle}, budget=3)
row("check sensors: memory", "memory", memory | {"node_exporter, resident": scraper, "monit, resident": cycler}, budget=8)
