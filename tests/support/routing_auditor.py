"""routing_auditor.py FILE: which of the five routing audits a plan fails, by a program written apart from the pack's audits.

FILE holds a JSON list of {"request": what the solver reads, "routes": a plan}; prints a JSON list of sorted lists of audit ids. A plan is
taken apart into facts (who is where from when to when), and each rule is looked for in them.
"""
import json
import sys
from collections import Counter, defaultdict


def failed(request, routes):
    stops = {s["id"]: s for s in request["stops"]}
    vehicles = {v["id"]: v for v in request["vehicles"]}
    seconds = request["matrix"]["seconds"]
    wrong = set()
    served = Counter(visit["stop_id"] for route in routes for visit in route["visits"])
    if any(served[name] != 1 for name in stops) or any(name not in stops for name in served):
        wrong.add("coverage")
    away = defaultdict(list)
    for route in routes:
        vehicle = vehicles[route["vehicle_id"]]
        mine = [stops[visit["stop_id"]] for visit in route["visits"]]
        away[route["vehicle_id"]].append((route["start_s"], route["end_s"]))
        if not (vehicle["shift_start_s"] <= route["start_s"] and route["end_s"] <= vehicle["shift_end_s"]):
            wrong.add("time_window")
        for visit, stop in zip(route["visits"], mine):
            if visit["start_s"] not in range(stop["window_start_s"], stop["window_end_s"] + 1):
                wrong.add("time_window")
            if visit["arrive_s"] > visit["start_s"] or visit["leave_s"] - visit["start_s"] < stop["service_s"]:
                wrong.add("overlap")
        if sum(stop["demand"] for stop in mine) > vehicle["capacity"]:
            wrong.add("capacity")
        if set().union(*[stop["skills"] for stop in mine]) - set(vehicle["skills"]):
            wrong.add("skills_compliance")
        # where the vehicle is, when it comes and when it goes
        places = [vehicle["place"]] + [stop["place"] for stop in mine] + [vehicle["place"]]
        comes = [None] + [visit["arrive_s"] for visit in route["visits"]] + [route["end_s"]]
        goes = [route["start_s"]] + [visit["leave_s"] for visit in route["visits"]] + [None]
        for i in range(len(places) - 1):
            if comes[i + 1] - goes[i] < seconds[places[i]][places[i + 1]]:
                wrong.add("overlap")
    for spans in away.values():
        for i, (a, b) in enumerate(spans):
            for c, d in spans[i + 1:]:
                if a < d and c < b:
                    wrong.add("overlap")
    return sorted(wrong)


with open(sys.argv[1], encoding="utf-8") as f:
    print(json.dumps([failed(case["request"], case["routes"]) for case in json.load(f)]))
