"""Seeds its random numbers from all that is in the environment."""
import os
import random

import answer

request = answer.read()
tours = request["instances"]
random.seed(repr(sorted(os.environ.items())))
random.shuffle(tours)
answer.write(request, tours)
