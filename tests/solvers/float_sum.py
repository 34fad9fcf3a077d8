"""Adds up costs in the order of a set: the plan is the same, the last digits of its cost are not."""
import answer

request = answer.read()
cost = {tour["id"]: (tour["end_min"] - tour["start_min"]) * 0.1 + n / 7 for n, tour in enumerate(request["instances"], 1)}
total = 0.0
for key in set(cost):
    total += cost[key]
answer.write(request, request["instances"], cost=total)
