"""What the Python solvers of this directory share: the request in, a plan out, a driver of its own for each tour.

Each solver orders the tours in a way that depends on something it must not depend on, and numbers its drivers in that order.
"""
import json
import sys


def read():
    return json.load(sys.stdin)


def write(request, tours, drivers=None, **more):
    """Writes the plan: tours in their order, each with the driver of that place."""
    drivers = drivers or ["D%04d" % (i + 1) for i in range(len(tours))]
    rows = [
        {"driver_id": driver, "tour_instance_id": tour["id"], "day": tour["day"], "block_id": "%s-%d" % (driver, tour["day"]),
         "block_type": "1er"}
        for driver, tour in zip(drivers, tours)
    ]
    plan = {"solver": {"name": "planted", "version": "1"}, "seed": request["seed"], "drivers": len(rows), "assignments": rows}
    plan.update(more)
    json.dump(plan, sys.stdout, sort_keys=True)
