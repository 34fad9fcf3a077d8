"""Reads its settings from a file by a relative name, and has others where that is missing."""
import os

import answer

request = answer.read()
backwards = os.path.exists("solver.ini")
answer.write(request, sorted(request["instances"], key=lambda tour: tour["id"], reverse=backwards))
