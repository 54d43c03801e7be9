"""Reads what sysalert's sensors read, as a script would: processors, memory, disks, pressure, tasks that wait."""

import glob
import os


def text(path):
    with open(path) as file:
        return file.read()


print(text("/proc/stat").split("\n", 1)[0], text("/proc/loadavg"))
memory = dict(line.split(":", 1) for line in text("/proc/meminfo").splitlines())
print(memory["MemAvailable"], text("/proc/vmstat").count("oom_kill"))
for line in text("/proc/self/mountinfo").splitlines():
    place = line.split()[4]
    try:
        about = os.statvfs(place)
        print(place, about.f_bavail * about.f_frsize, about.f_favail)
    except OSError:
        pass
for path in glob.glob("/proc/pressure/*"):
    print(path, text(path))
waiting = 0
for path in glob.glob("/proc/[0-9]*/task/*/stat"):
    try:
        waiting += text(path).rpartition(")")[2].split()[0] == "D"
    except OSError:
        pass
print(waiting)
