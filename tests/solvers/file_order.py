"""Reads its drivers from the files of a directory, in the order in which the system lists them: file_order.py DIRECTORY."""
import os
import sys

import answer

request = answer.read()
tours = request["instances"]
answer.write(request, tours, os.listdir(sys.argv[1])[:len(tours)])
