"""table.py MACHINE ROWS OUT: the rows as JSON in OUT.json, and as a table for the documents, which is printed, too, in OUT.md.
table.py OLD.json NEW.json: the second beside the first."""

import json
import sys

# MB, of the program and all plugins together
LARGEST = 16


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def line(*cells):
    return f"| {' | '.join(cells)} |\n"


def head(*names):
    return line(*names) + line(*("---" for _ in names))


def machine(path):
    with open(path) as file:
        model, processors, systemd, kernel, commit, sizes = file.read().splitlines()
    return {"model": model, "processors": int(processors), "systemd": systemd, "kernel": kernel, "commit": commit,
            "installed": [int(size) for size in sizes.split()]}


def met(found):
    return {None: "", True: "yes", False: "**no**"}[found]


def budget(row):
    if row["budget"] is None:
        return ""
    return f"{row['budget']:.3g} x {row['beside']}" if row["beside"] else f"{row['budget']:.3g} {row['unit']}"


def table(about, rows):
    """What was measured, as Markdown."""
    text = (f"{about['model']}, {about['processors']} processors, {about['systemd']}, Linux {about['kernel']}, {about['commit']}. Medians, "
            "the least in brackets; ratios are medians of pairs.\n\n" + head("what", "budget", "sysalert", "beside", "ratio", "met"))
    for row in rows:
        (_, ours), *others = row["figures"].items()
        figure = lambda of: f"{shown(of['median'])} {row['unit']}" + (f" ({shown(of['least'])})" if of["least"] != of["most"] else "")
        beside = "; ".join(f"{name} {figure(of)}" for name, of in others)
        ratios = "; ".join(f"{shown(ratio)} of {name}" for name, ratio in row["ratios"].items())
        text += line(row["what"], budget(row), figure(ours), beside, ratios, met(row["met"]))
    sizes = [size / 1e6 for size in about["installed"]]
    each = f"{sum(sizes):.1f} MB: the program {sizes[0]:.1f}, all plugins {sum(sizes[1:]):.1f}"
    return text + line("installed: the program, all plugins", f"{LARGEST} MB", each, "", "", met(sum(sizes) <= LARGEST))


def compared(old, new):
    """Two commits beside each other; what only one of them has has no ratio."""
    text = f"{old['machine']['commit']} -> {new['machine']['commit']}, {new['machine']['model']}\n" + head("what", "before", "after", "ratio")
    ours = lambda rows: {row["what"]: (next(iter(row["figures"].values()))["median"], row["unit"]) for row in rows["rows"]}
    before, after = ours(old), ours(new)
    for what in before | after:
        (was, unit), (now, _) = (of.get(what, (None, (before | after)[what][1])) for of in (before, after))
        figure = lambda value: "" if value is None else f"{shown(value)} {unit}"
        text += line(what, figure(was), figure(now), f"{now / was:.2f}" if was and now is not None else "")
    return text


def read(path):
    with open(path) as file:
        return json.load(file)


def main(*arguments):
    if len(arguments) == 2:
        print(compared(*map(read, arguments)), end="")
        return
    of, rows, out = arguments
    about = machine(of)
    with open(rows) as file:
        rows = [json.loads(row) for row in file]
    with open(f"{out}.json", "w") as file:
        json.dump({"machine": about, "rows": rows}, file, indent=1)
    text = table(about, rows)
    with open(f"{out}.md", "w") as file:
        file.write(text)
    print(text, end="")
    print(f"{out}.json, {out}.md", file=sys.stderr)


main(*sys.argv[1:])
