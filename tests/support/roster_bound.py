"""roster_bound.py REQUEST: a lower bound on the drivers of a roster week, by an integer program that CBC (COIN-OR) solves.

Written apart from the solver and by another method. Every tour takes one place in a block: alone, first or second of a 2er-reg or of a
2er-split, first, second or third of a 3er-chain; places are joined by links whose gap is one of the domain's. With drivers D:
  each day        the blocks of the day <= D
  each rest pair  for a minute t: blocks of a day that end after t - rest, and blocks of the next that start at or before t, <= D
  fatigue         3ers of two days that follow each other <= D
  hours           the week's minutes <= D * the most minutes that a driver can work in steps of the durations' common divisor
No legal plan can do without any of these; what is left out (who drives which blocks) can only raise the number.
Prints JSON: {"bound", "optimal": whether CBC finished the program; its best bound counts where it did not}.
"""
import collections
import json
import math
import re
import subprocess
import sys
import tempfile

SECONDS = 60
SHORT, LONG = (30, 60), (240, 360)
# kind of link: which places it joins, its gaps, the limit on the span
LINKS = {"r": ("r1", "r2", SHORT, "max_span_regular_minutes"), "q": ("q1", "q2", LONG, "max_span_split_minutes"),
         "c": ("x1", "x2", SHORT, "max_span_split_minutes"), "d": ("x2", "x3", SHORT, "max_span_split_minutes")}
PLACES = ("u", "r1", "r2", "q1", "q2", "x1", "x2", "x3")
FIRST, LAST = ("u", "r1", "q1", "x1"), ("u", "r2", "q2", "x3")

request = json.load(open(sys.argv[1], encoding="utf-8"))
LIMITS = request["config"]
rows, names = [], {"D"}


def var(*parts):
    name = "_".join(str(part) for part in parts)
    names.add(name)
    return name


def row(plus, minus, sense, value):
    """plus - minus <sense> value; lists of names."""
    text = "\n + ".join(plus) + "".join("\n - " + name for name in minus)  # a line has a limit of its own
    rows.append(" r%d: %s %s %d" % (len(rows), text, sense, value))


def day_rows(day, tours):
    """Places and links of one day's tours, {(start, end): how many}."""
    for (start, end), n in tours.items():
        places = [var(p, day, start, end) for p in PLACES if p != "u" or end - start <= LIMITS["max_span_regular_minutes"]]
        row(places, [], "=", n)
    ends, starts = collections.defaultdict(list), collections.defaultdict(list)
    for start, end in sorted(tours):
        ends[end].append((start, end))
        starts[start].append((start, end))
    for kind, (one, other, (low, high), limit) in LINKS.items():
        out, into = collections.defaultdict(list), collections.defaultdict(list)
        for end in ends:
            for start in (s for s in starts if low <= s - end <= high):
                pairs = [(a, b) for a in ends[end] for b in starts[start]]
                legal = [(a, b) for a, b in pairs if b[1] - a[0] <= LIMITS[limit]]
                if len(legal) == len(pairs):  # who of them does not matter
                    legal = [(None, None)]
                for a, b in legal:
                    link = var(kind, day, end, start, *(a or ()), *(b or ()))
                    for table, key in ((out, end), (into, start), (out, a), (into, b)):
                        table[key].append(link)
        for table, place, groups in ((out, one, ends), (into, other, starts)):
            for key, group in groups.items():
                row([var(place, day, *t) for t in group], table[key], "=", 0)
            for t in tours:
                if table[t]:
                    row([var(place, day, *t)], table[t], ">=", 0)


def blocks(day, tours, places):
    return [var(p, day, *t) for t in tours for p in places]


def build():
    days = [collections.Counter((t["start_min"], t["end_min"]) for t in request["instances"] if t["day"] == d) for d in range(1, 8)]
    for d, tours in enumerate(days):
        day_rows(d, tours)
        row(["D"], blocks(d, tours, FIRST), ">=", 0)
    for d, (tours, later) in enumerate(zip(days, days[1:])):
        row(["D"], blocks(d, tours, ("x1",)) + blocks(d + 1, later, ("x1",)), ">=", 0)
        for t in sorted({start for start, _ in later}):
            late = [x for x in tours if x[1] > t - LIMITS["min_rest_minutes"]]
            row(["D"], blocks(d, late, LAST) + blocks(d + 1, [x for x in later if x[0] <= t], FIRST), ">=", 0)
    minutes = [t["end_min"] - t["start_min"] for t in request["instances"]]
    step = math.gcd(*minutes)
    rows.append(" hours: %d D >= %d" % (LIMITS["max_weekly_minutes"] // step * step, sum(minutes)))


def solve():
    with tempfile.TemporaryDirectory() as scratch:
        path = scratch + "/week.lp"
        with open(path, "w", encoding="ascii") as lp:
            lp.write("Minimize\n obj: D\nSubject To\n%s\nGeneral\n %s\nEnd\n" % ("\n".join(rows), "\n ".join(sorted(names))))
        run = subprocess.run(["cbc", path, "-sec", str(SECONDS), "-ratioGap", "0", "-allowableGap", "0.999", "-solve", "-quit"],
                             capture_output=True, text=True, check=True)
    found = re.search(r"^(?:Lower bound|Objective value): +([0-9.e+-]+)$", run.stdout, re.M)
    if "infeasible" in run.stdout or not found:
        sys.exit("cbc has no bound for this week: " + run.stdout[-2000:])
    bound = min(float(value) for value in re.findall(r"^(?:Lower bound|Objective value): +([0-9.e+-]+)$", run.stdout, re.M))
    return {"bound": math.ceil(bound - 1e-6), "optimal": "Result - Optimal solution found" in run.stdout}


build()
print(json.dumps(solve()))
