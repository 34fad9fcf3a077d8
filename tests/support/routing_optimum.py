"""routing_optimum.py REQUEST [PLAN]: the optimum of a small routing problem, exactly, and whether a plan is legal and how far it is from it.

Written apart from the solver and by another method. Every route that a vehicle can drive is found by labels over sets of stops (a label is
dominated when another for the same set and last stop is no later and no longer); which of them make the best plan, serving the most stops and
then driving the fewest metres, is a set-partitioning problem for GLPK. Prints JSON: {"problem": text or null, "unserved", "metres",
"best_unserved", "best_metres"}. A legal plan that is better than the optimum is an error of this program, and ends it.
"""
import json
import os
import subprocess
import sys
import tempfile

request = json.load(open(sys.argv[1], encoding="utf-8"))
STOPS, VEHICLES = request["stops"], request["vehicles"]
SECONDS, METRES = request["matrix"]["seconds"], request["matrix"]["metres"]
BY_ID = {s["id"]: i for i, s in enumerate(STOPS)}
UNSERVED = 10**9  # metres that leaving a stop out counts for


def served(vehicle, stop, at, free):
    """When service of a stop ends, for a vehicle that is free at a place; None where the rules forbid it."""
    way = SECONDS[at][stop["place"]]
    if way is None or not set(stop["skills"]) <= set(vehicle["skills"]):
        return None
    begin = max(free + way, stop["window_start_s"])
    return begin + stop["service_s"] if begin <= stop["window_end_s"] else None


def routes(vehicle):
    """For each set of stops (bits) that the vehicle can serve: the fewest metres."""
    depot = vehicle["place"]
    labels = {(0, None): [(vehicle["shift_start_s"], 0)]}
    best = {}
    for size in range(len(STOPS)):
        grown = {}
        for (bits, last), found in labels.items():
            at = depot if last is None else STOPS[last]["place"]
            for i, stop in enumerate(STOPS):
                load = stop["demand"] + sum(s["demand"] for k, s in enumerate(STOPS) if bits >> k & 1)
                if bits >> i & 1 or load > vehicle["capacity"]:
                    continue
                for free, metres in found:
                    end = served(vehicle, stop, at, free)
                    if end is not None:
                        grown.setdefault((bits | 1 << i, i), []).append((end, metres + METRES[at][stop["place"]]))
        labels = {}
        for key, found in grown.items():
            kept = []
            for end, metres in sorted(found):
                if not kept or metres < kept[-1][1]:
                    kept.append((end, metres))
            labels[key] = kept
            place = STOPS[key[1]]["place"]
            home = SECONDS[place][depot]
            for end, metres in kept:
                if home is not None and end + home <= vehicle["shift_end_s"]:
                    whole = metres + METRES[place][depot]
                    best[key[0]] = min(best.get(key[0], whole), whole)
    return best


def optimum():
    """Fewest stops left out, then fewest metres: a column for each route and for leaving each stop out."""
    columns = [(None, 1 << i, UNSERVED) for i in range(len(STOPS))]
    for v, vehicle in enumerate(VEHICLES):
        columns += [(v, bits, metres) for bits, metres in sorted(routes(vehicle).items())]

    def total(rows):
        return "\n  ".join("+ x%d" % c for c in rows)

    text = ["Minimize", " cost: " + "\n  ".join("+ %d x%d" % (c[2], n) for n, c in enumerate(columns)), "Subject To"]
    for i in range(len(STOPS)):
        text.append(" stop%d: %s = 1" % (i, total(n for n, c in enumerate(columns) if c[1] >> i & 1)))
    for v in range(len(VEHICLES)):
        mine = [n for n, c in enumerate(columns) if c[0] == v]
        if mine:
            text.append(" vehicle%d: %s <= 1" % (v, total(mine)))
    text += ["Binary"] + [" x%d" % n for n in range(len(columns))] + ["End"]
    with tempfile.TemporaryDirectory() as scratch:
        model, answer = os.path.join(scratch, "model.lp"), os.path.join(scratch, "answer")
        with open(model, "w", encoding="ascii") as f:
            f.write("\n".join(text) + "\n")
        subprocess.run(["glpsol", "--lp", model, "--write", answer], check=True, stdout=subprocess.DEVNULL, timeout=240)
        chosen, status = [], None
        for line in open(answer, encoding="ascii"):
            words = line.split()
            if words[:2] == ["s", "mip"]:
                status = words[4]
            if words[:1] == ["j"] and round(float(words[2])) == 1:
                chosen.append(columns[int(words[1]) - 1])
    assert status == "o", "GLPK proved no optimum"
    return sum(c[0] is None for c in chosen), sum(c[2] for c in chosen if c[0] is not None)


def judge(plan):
    """What is wrong with a plan (None: nothing), how many stops it leaves out, its metres."""
    seen, metres, used = set(), 0, set()
    for route in plan["routes"]:
        vehicle = next(v for v in VEHICLES if v["id"] == route["vehicle_id"])
        if route["vehicle_id"] in used or not route["visits"]:
            return "%s drives twice, or nowhere" % route["vehicle_id"], 0, 0
        used.add(route["vehicle_id"])
        free, at, load = route["start_s"], vehicle["place"], 0
        if free < vehicle["shift_start_s"]:
            return "%s leaves before its shift" % route["vehicle_id"], 0, 0
        for visit in route["visits"]:
            stop = STOPS[BY_ID[visit["stop_id"]]]
            end = served(vehicle, stop, at, free)
            if end is None or visit["stop_id"] in seen:
                return "%s may not visit %s there" % (route["vehicle_id"], visit["stop_id"]), 0, 0
            expected = [free + SECONDS[at][stop["place"]], end - stop["service_s"], end]
            if [visit["arrive_s"], visit["start_s"], visit["leave_s"]] != expected:
                return "%s: expected the times %s" % (visit, expected), 0, 0
            seen.add(visit["stop_id"])
            load += stop["demand"]
            metres += METRES[at][stop["place"]]
            free, at = end, stop["place"]
        metres += METRES[at][vehicle["place"]]
        if load > vehicle["capacity"]:
            return "%s is overloaded" % route["vehicle_id"], 0, 0
        if route["end_s"] != free + SECONDS[at][vehicle["place"]] or route["end_s"] > vehicle["shift_end_s"]:
            return "%s is back at %s" % (route["vehicle_id"], route["end_s"]), 0, 0
    left = sorted(set(BY_ID) - seen)
    if left != sorted(u["stop_id"] for u in plan["unassigned"]) or plan["feasible"] != (not left):
        return "unassigned does not name the stops left out: %s" % left, 0, 0
    if plan["distance_m"] != metres:
        return "distance_m is %s, it drives %s" % (plan["distance_m"], metres), 0, 0
    return None, len(left), metres


result = {}
if len(sys.argv) > 2:
    result["problem"], result["unserved"], result["metres"] = judge(json.load(open(sys.argv[2], encoding="utf-8")))
if len(STOPS) <= 10:
    result["best_unserved"], result["best_metres"] = optimum()
    if len(sys.argv) > 2 and result["problem"] is None:
        assert (result["unserved"], result["metres"]) >= (result["best_unserved"], result["best_metres"]), "better than the optimum"
print(json.dumps(result))
