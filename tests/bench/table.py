"""table.py MACHINE ROWS OUT: the rows as a table, and as JSON in OUT. table.py OLD.json NEW.json: the second beside the first."""

import json
import sys


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def machine(path):
    with open(path) as file:
        model, processors, systemd, kernel, commit, sizes = file.read().splitlines()
    return {"model": model, "processors": int(processors), "systemd": systemd, "kernel": kernel, "commit": commit,
            "installed": [int(size) for size in sizes.split()]}


def table(rows):
    print("| what | sysalert | beside | ratio | budget |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        (_, ours), *others = row["figures"].items()
        beside = "; ".join(f"{name}: {shown(of['median'])}" for name, of in others)
        ratios = "; ".join(f"{ratio:.2f}" for ratio in row["ratios"].values())
        limit = "" if row["budget"] is None else f"{row['budget']:.2g}" + (f" x {row['beside']}" if row["beside"] else "")
        met = {None: "", True: ": met", False: ": MISSED"}[row["met"]]
        print(f"| {row['what']} | {shown(ours['median'])} {row['unit']} ({shown(ours['least'])}-{shown(ours['most'])}) | {beside} | {ratios} | {limit}{met} |")


def compare(old, new):
    before = {row["what"]: row for row in old["rows"]}
    print(f"{old['machine']['commit']} -> {new['machine']['commit']}, {new['machine']['model']}")
    print("| what | before | after | ratio |\n| --- | --- | --- | --- |")
    for row in new["rows"]:
        if row["what"] in before:
            was, now = (next(iter(of["figures"].values()))["median"] for of in (before[row["what"]], row))
            print(f"| {row['what']} | {shown(was)} | {shown(now)} {row['unit']} | {now / was if was else float('nan'):.2f} |")


if len(sys.argv) == 3:
    compare(*(json.load(open(path)) for path in sys.argv[1:]))
else:
    of, rows, out = sys.argv[1:]
    about = machine(of)
    with open(rows) as file:
        rows = [json.loads(line) for line in file]
    print(f"{about['model']}, {about['processors']} processors, {about['systemd']}, Linux {about['kernel']}, {about['commit']}; medians (least-most); "
          f"ratios are medians of pairs\n")
    table(rows)
    print(f"\ninstalled: {sum(about['installed']) / 1e6:.1f} MB ({', '.join(f'{size / 1e6:.1f}' for size in about['installed'])})")
    with open(out, "w") as file:
        json.dump({"machine": about, "rows": rows}, file, indent=1)
    print(f"{out}", file=sys.stderr)
