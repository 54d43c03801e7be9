"""A success of a unit that was healthy, beside the start of the same program for nothing."""

from bench import Command, alternate, failure, quiet, row, state

quiet()
folder = state("success")
# the database is there, with another unit's incident
failure(folder)
healthy = {"MONITOR_UNIT": "well.service", "MONITOR_SERVICE_RESULT": "success", "MONITOR_EXIT_CODE": "exited",
           "MONITOR_EXIT_STATUS": "0", "MONITOR_INVOCATION_ID": "5" * 32, "SYSALERT_STATE_DIR": folder}
samples = alternate({
    "sysalert": Command(["sysalert", "success", "--", "well.service"], user="sysalert", environment=healthy),
    "--version": Command(["sysalert", "--version"], user="sysalert"),
}, runs=101)
row("success of a healthy unit", "wall", samples, budget=1.3, beside="--version")
row("success of a healthy unit: processor", "cpu", samples)
