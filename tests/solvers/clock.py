"""Seeds its random numbers from the time of day."""
import random
import time

import answer

request = answer.read()
tours = request["instances"]
random.seed(int(time.time()))
random.shuffle(tours)
answer.write(request, tours)
