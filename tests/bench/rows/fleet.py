"""What two Alertmanagers make of a storm on all hosts of a fleet at once: HOSTS, on each of which UNITS services fail.

One host's calls are sysalert's own, of services that failed on this machine; the others' differ by the name of the host. Each
host calls each member, as docs/fleet.md says. The members are set up as there, but for `group_interval`, which is for people.
What is no time or size is told on standard error.
"""

import asyncio
import collections
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.request

from bench import quiet, row, run, write

HOSTS, UNITS = int(os.environ.get("HOSTS", "1000")), int(os.environ.get("UNITS", "20"))
MEMBERS = {9093: 9193, 9193: 9093}
RECORDER, RECEIVER = 9098, 9099
# Open connections at a time, of all hosts together.
AT_ONCE = 64
CONFIG = f"""[method.fleet]
plugin = "alertmanager"
url = ["http://127.0.0.1:{RECORDER}"]
"""


class Listener(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it, and when."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port):
        self.heard = []
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((time.monotonic(), json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def until(what, condition, seconds=300):
    """Waits for a condition; who waits in vain says for what."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def start_members():
    documented = pathlib.Path("/usr/share/doc/sysalert/docs/fleet.md").read_text().split("```yaml\n")[1].split("```")[0]
    write("/etc/prometheus/alertmanager.yml", documented.replace("group_interval: 5m", "group_interval: 10s"))
    for port, other in MEMBERS.items():
        run("systemd-run", "--quiet", f"--unit=alerts-{port}", "/usr/bin/prometheus-alertmanager",
            "--config.file=/etc/prometheus/alertmanager.yml", f"--storage.path=/var/lib/alerts-{port}",
            f"--web.listen-address=127.0.0.1:{port}", f"--cluster.listen-address=127.0.0.1:{port + 1}",
            f"--cluster.advertise-address=127.0.0.1:{port + 1}", f"--cluster.peer=127.0.0.1:{other + 1}")
    for port in MEMBERS:
        until("a cluster", lambda: len(status(port)["cluster"].get("peers", [])) == len(MEMBERS))


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.read().decode()


def status(port):
    try:
        return json.loads(get(port, "/api/v2/status"))
    except OSError:
        return {"cluster": {}}


def metric(port, name):
    """The sum of a metric's series."""
    lines = [line for line in get(port, "/metrics").splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def alerts_of_one_host():
    """What sysalert sends when these services fail: every alert of its calls."""
    recorder = Listener(RECORDER)
    write("/etc/sysalert/sysalert.toml", CONFIG)
    write("/etc/systemd/system/backup@.service",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\n"
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo cannot write to the repository: No space left on device; exit 3'\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "sysalert-dispatch.path", "sysalert-dispatch.timer")
    run("systemctl", "start", "--no-block", *[f"backup@{number}.service" for number in range(UNITS)])

    def alerts():
        return {alert["labels"]["unit"]: alert for _, body in recorder.heard for alert in body}

    until("the calls of one host", lambda: len(alerts()) == UNITS)
    quiet()
    recorder.shutdown()
    return list(alerts().values())


def calls(alerts, ends=None):
    """The bodies, one for each host, as one call of sysalert."""
    bodies = []
    for host in range(HOSTS):
        for alert in alerts:
            alert["labels"]["instance"] = f"host{host}"
            alert["endsAt"] = ends or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
        bodies.append(json.dumps(alerts).encode())
    return bodies


async def post(port, body, answers, gate):
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (f"POST /api/v2/alerts HTTP/1.1\r\nHost: alerts\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        answers[(await reader.readline()).split()[1].decode()] += 1
        writer.close()


async def send(bodies):
    answers, gate = collections.Counter(), asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*[post(port, body, answers, gate) for body in bodies for port in MEMBERS])
    return answers


def cpu():
    """The processor time of both members, in seconds."""
    total = 0
    for port in MEMBERS:
        shown = subprocess.run(["systemctl", "show", "-P", "CPUUsageNSec", f"alerts-{port}"], capture_output=True, check=True)
        total += int(shown.stdout) / 1e9
    return total


def memory():
    """The memory of the greater of both, in MB."""
    peaks = []
    for port in MEMBERS:
        shown = subprocess.run(["systemctl", "show", "-P", "MainPID", f"alerts-{port}"], capture_output=True, check=True)
        text = pathlib.Path(f"/proc/{int(shown.stdout)}/status").read_text()
        peaks += [int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith("VmHWM")]
    return max(peaks)


def told(receiver, state):
    """The notified alerts in this state: how often each was told, of how many notifications, and when the last."""
    times, notifications, last = collections.Counter(), 0, 0
    for at, body in receiver.heard:
        told = [alert for alert in body["alerts"] if alert["status"] == state]
        notifications += bool(told)
        last = at if told else last
        times.update((alert["labels"]["instance"], alert["labels"]["unit"]) for alert in told)
    return times, notifications, last


def storm(name, receiver, bodies, state):
    """Sends them, waits until all is told if `state` names how, and says what it took."""
    alerts = HOSTS * UNITS
    name = f"fleet, {HOSTS:,} hosts x {UNITS} units: {name}"
    before, begun = cpu(), time.monotonic()
    answers = asyncio.run(send(bodies))
    took = time.monotonic() - begun
    sent = alerts * len(MEMBERS)
    row(f"{name}: {sent:,} alerts taken", "wall", {"two Alertmanagers": [took * 1000]})
    said = ", ".join(f"{number} with {status}" for status, number in sorted(answers.items()))
    print(f"{name}: calls of {sum(map(len, bodies)) / len(bodies) / 1024:.1f} KiB answered {said}", file=sys.stderr)
    if state:
        until(f"every alert is {state}", lambda: len(told(receiver, state)[0]) == alerts)
        times, notifications, last = told(receiver, state)
        row(f"{name}: the last notified", "wall", {"two Alertmanagers": [(last - begun) * 1000]})
        print(f"  {alerts:,} alerts in {notifications:,} notifications, {sum(times.values()) - alerts:,} alerts twice", file=sys.stderr)
    row(f"{name}: processor of both", "cpu", {"two Alertmanagers": [(cpu() - before) * 1000]})


def main():
    alerts = alerts_of_one_host()
    receiver = Listener(RECEIVER)
    start_members()
    storm("all fail", receiver, calls(alerts), "firing")
    for port in MEMBERS:
        held = len(json.loads(get(port, "/api/v2/alerts")))
        invalid, failed = metric(port, "alertmanager_alerts_invalid_total"), metric(port, "alertmanager_notifications_failed_total")
        print(f"  one member holds {held:,} alerts; refused {invalid:.0f}; notifications that failed {failed:.0f}", file=sys.stderr)
    storm("each minute while they are open", receiver, calls(alerts), None)
    storm("all recover", receiver, calls(alerts, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())), "resolved")
    row(f"fleet, {HOSTS:,} hosts x {UNITS} units: a member's memory", "memory", {"two Alertmanagers": [memory()]})


main()
