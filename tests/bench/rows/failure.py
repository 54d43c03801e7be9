"""A failure, from the handler's start to its first commit and to its end, beside the least program that commits as durably, and the
least that also looks at the journal, asks the service manager and commits once more: the floor of a whole handler."""

from bench import DISK, Command, alternate, failing_job, failure, quiet, row, state

FLOOR = "C, with journal and manager"

quiet()
folder = state("failure")
for other in ("c", "floor", "python"):
    state(other)
commit = lambda argv: Command(argv, user="sysalert")
samples = alternate({
    "sysalert": failure(folder),
    "C": commit(["/srv/tools/commit", f"{DISK}/c", "job.service"]),
    FLOOR: Command(["/srv/tools/floor", "failure", f"{DISK}/floor", "job.service"], user="sysalert", prepare=failing_job),
    "Python": commit(["/usr/bin/python3", "/srv/bench/commit.py", f"{DISK}/python", "job.service"]),
    "systemctl status": Command(["sh", "-c", "systemctl status --lines=50 --full job.service | cat"]),
})
first = {name: [sample.closed if name == "sysalert" else sample.wall for sample in all_of] for name, all_of in samples.items()
         if name != FLOOR}
row("failure: start to durable first commit", "wall", first, budget=1.5, beside="C")
row("failure: whole, with verdict and journal", "wall", samples, budget=3, beside="C")
row("failure: memory", "memory", samples, budget=8)
