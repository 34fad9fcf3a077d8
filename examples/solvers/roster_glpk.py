#!/usr/bin/python3
"""A roster solver that asks GLPK: exact, for weeks of up to 30 tours. Needs Debian's glpk-utils.

It shows how any solver is put behind gate-engine: one JSON document on standard input, one on standard output, nothing else
(examples/configs/external_solver.conf.lua starts it). What it reads:

    {"pack": "roster", "seed": 94, "config": {"max_weekly_minutes", "min_rest_minutes", "max_span_regular_minutes",
     "max_span_split_minutes"}, "instances": [{"id", "day", "start_min", "end_min", "depot", "skill", "split_group"}]}

with minutes on the week's line. What it writes:

    {"solver": {"name", "version"}, "seed", "drivers", "lower_bound",
     "assignments": [{"driver_id", "tour_instance_id", "day", "block_id", "block_type"}]}

or {"error": {"code", "message", "fix"}} where there is no plan. Nothing of the answer depends on the clock, on the order of a set or on
names of temporary files, so that the determinism proof passes.

The model: every block that the rules allow on one day is listed; y[b,d] says that driver d works block b, z[d] that there is a driver d.
Each tour is in exactly one block that is worked; of two blocks that exclude each other (same day, too little rest between them, 3er on
two days running) a driver works one; a driver works no more than the weekly limit. The number of drivers is made least.
"""
import json
import os
import subprocess
import sys
import tempfile

NAME, VERSION = "roster-glpk", "1"
MOST_TOURS = 30
REGULAR_GAP, SPLIT_GAP = (30, 60), (240, 360)


class NoPlan(Exception):
    def __init__(self, code, message, fix):
        super().__init__(message)
        self.document = {"error": {"code": code, "message": message, "fix": fix}}


def block_type(tours, config):
    """The type of tours which one driver does on one day, sorted by start; None where the rules allow no such block."""
    gaps = [b["start_min"] - a["end_min"] for a, b in zip(tours, tours[1:])]
    span = tours[-1]["end_min"] - tours[0]["start_min"]
    regular = all(REGULAR_GAP[0] <= gap <= REGULAR_GAP[1] for gap in gaps)
    split = len(gaps) == 1 and SPLIT_GAP[0] <= gaps[0] <= SPLIT_GAP[1]
    if len(tours) == 3 and regular and span <= config["max_span_split_minutes"]:
        return "3er-chain"
    if split and span <= config["max_span_split_minutes"]:
        return "2er-split"
    if len(tours) <= 2 and regular and span <= config["max_span_regular_minutes"]:
        return "2er-reg" if len(tours) == 2 else "1er"
    return None


def blocks_of(tours, config):
    """Every block: (type, tours). The tours of one split group are together or not in it."""
    groups = {}
    for tour in tours:
        if tour.get("split_group"):
            groups.setdefault(tour["split_group"], set()).add(tour["id"])

    def whole(chosen):
        ids = {tour["id"] for tour in chosen}
        return all(groups[tour["split_group"]] <= ids for tour in chosen if tour.get("split_group"))

    found = []

    def grow(chosen):
        kind = block_type(chosen, config)
        if kind and whole(chosen):
            found.append((kind, chosen))
        if len(chosen) < 3:
            for tour in tours:
                if tour["day"] == chosen[0]["day"] and tour["start_min"] >= chosen[-1]["end_min"]:
                    grow(chosen + [tour])

    for tour in tours:
        grow([tour])
    return found


def exclude(a, b, config):
    """Whether no driver may work both blocks."""
    if a[1][0]["start_min"] > b[1][0]["start_min"]:
        a, b = b, a
    day_a, day_b = a[1][0]["day"], b[1][0]["day"]
    if day_a == day_b or b[1][0]["start_min"] - a[1][-1]["end_min"] < config["min_rest_minutes"]:
        return True
    return abs(day_a - day_b) == 1 and a[0] == b[0] == "3er-chain"


def work(block):
    return sum(tour["end_min"] - tour["start_min"] for tour in block[1])


def enough_drivers(tours, blocks, config):
    """A number of drivers that surely suffices: first fit of the blocks that hold the fewest tours each."""
    rosters = []
    covered = set()
    for block in sorted(blocks, key=lambda b: (b[1][0]["start_min"], len(b[1]), [t["id"] for t in b[1]])):
        ids = {tour["id"] for tour in block[1]}
        if ids & covered:
            continue
        covered |= ids
        for roster in rosters:
            if sum(map(work, roster)) + work(block) <= config["max_weekly_minutes"] and not any(exclude(block, b, config) for b in roster):
                roster.append(block)
                break
        else:
            rosters.append([block])
    missing = [tour["id"] for tour in tours if tour["id"] not in covered]
    if missing:
        raise NoPlan("infeasible", "tour %s is in no block that the rules allow" % missing[0], "Shorten or split the tour")
    return len(rosters)


def model(tours, blocks, drivers, config):
    """The problem in CPLEX LP format, as GLPK reads it."""
    y = [["y%d_%d" % (b, d) for d in range(drivers)] for b in range(len(blocks))]
    rows = []
    for tour in tours:
        terms = [y[b][d] for b, block in enumerate(blocks) if tour in block[1] for d in range(drivers)]
        rows.append(" + ".join(terms) + " = 1")
    for d in range(drivers):
        hours = " + ".join("%d %s" % (work(block), y[b][d]) for b, block in enumerate(blocks))
        rows.append("%s - %d z%d <= 0" % (hours, config["max_weekly_minutes"], d))
        for b, block in enumerate(blocks):
            for c in range(b + 1, len(blocks)):
                if exclude(block, blocks[c], config):
                    rows.append("%s + %s - z%d <= 0" % (y[b][d], y[c][d], d))
        if d > 0:
            rows.append("z%d - z%d >= 0" % (d - 1, d))  # drivers are alike: the first ones work
    names = [name for row in y for name in row] + ["z%d" % d for d in range(drivers)]
    text = "Minimize\n drivers: %s\nSubject To\n" % " + ".join("z%d" % d for d in range(drivers))
    text += "".join(" r%d: %s\n" % (i, row.replace(" + ", "\n + ")) for i, row in enumerate(rows))
    return text + "Binary\n" + "".join(" %s\n" % name for name in names) + "End\n"


def ask_glpk(text):
    """The names of the variables that are 1 in a proven optimum."""
    with tempfile.TemporaryDirectory() as place:
        problem, answer = os.path.join(place, "model.lp"), os.path.join(place, "answer.txt")
        with open(problem, "w", encoding="ascii") as f:
            f.write(text)
        run = subprocess.run(["glpsol", "--lp", problem, "--output", answer], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
        if run.returncode != 0:
            raise NoPlan("glpk", "glpsol ended with exit %d" % run.returncode, "Run glpsol by hand: " + run.stdout[-300:])
        report = open(answer, encoding="ascii").read()
    if "INTEGER OPTIMAL" not in report:
        raise NoPlan("infeasible", "GLPK found no plan", "Look for a tour that breaks a rule by itself")
    chosen = set()
    columns = report[report.index("Column name"):].split("\n")
    for line in columns:
        words = line.split()
        if len(words) >= 4 and words[0].isdigit() and words[1][0] in "yz" and words[3] == "1":
            chosen.add(words[1])
    return chosen


def solve(request):
    tours, config = sorted(request["instances"], key=lambda t: (t["start_min"], t["id"])), request["config"]
    if len(tours) > MOST_TOURS:
        raise NoPlan("too_large", "%d tours, and this model is for up to %d" % (len(tours), MOST_TOURS), "Use another solver for such weeks")
    blocks = blocks_of(tours, config)
    drivers = enough_drivers(tours, blocks, config)
    chosen = ask_glpk(model(tours, blocks, drivers, config))
    rosters = [[block for b, block in enumerate(blocks) if "y%d_%d" % (b, d) in chosen] for d in range(drivers)]
    # Drivers are numbered by what they do, not by how GLPK happened to number them.
    rosters = sorted((roster for roster in rosters if roster), key=lambda r: (r[0][1][0]["start_min"], r[0][1][0]["id"]))
    rows = []
    for n, roster in enumerate(rosters, 1):
        for kind, block in roster:
            for tour in block:
                rows.append({"driver_id": "D%03d" % n, "tour_instance_id": tour["id"], "day": tour["day"], "block_type": kind,
                             "block_id": "D%03d-%d" % (n, tour["day"])})
    return {"solver": {"name": NAME, "version": VERSION}, "seed": request["seed"], "drivers": len(rosters), "lower_bound": len(rosters),
            "assignments": rows}


def main():
    try:
        answer = solve(json.load(sys.stdin))
    except NoPlan as e:
        answer = e.document
    json.dump(answer, sys.stdout, sort_keys=True, separators=(",", ":"))


if __name__ == "__main__":
    main()
