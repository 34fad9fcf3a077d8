"""Walks a set of texts, whose order follows from a hash that Python seeds anew in every process."""
import answer

request = answer.read()
by_id = {tour["id"]: tour for tour in request["instances"]}
answer.write(request, [by_id[i] for i in set(by_id)])
