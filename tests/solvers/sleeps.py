"""Right, and in no hurry: it sleeps, and waits for what comes later, in each way Python has."""
import asyncio
import queue
import select
import subprocess
import threading
import time

import answer

MOST = 10.0  # seconds for what takes a tenth of one

request = answer.read()
begun = time.monotonic()


def waited(what, least):
    """Refuses a wait that was none, or that was one of days."""
    global begun
    took = time.monotonic() - begun
    if not least <= took < MOST:
        raise SystemExit(f"{what} took {took:.3f} s instead of {least} s")
    begun = time.monotonic()


time.sleep(0.1)
waited("time.sleep", 0.1)
threading.Event().wait(0.1)
waited("Event.wait", 0.1)
held = threading.Lock()
held.acquire()
held.acquire(timeout=0.1)
waited("Lock.acquire", 0.1)
try:
    queue.Queue().get(timeout=0.1)
except queue.Empty:
    waited("Queue.get", 0.1)
select.select([], [], [], 0.1)
waited("select", 0.1)
asyncio.run(asyncio.sleep(0.1))
waited("asyncio.sleep", 0.09)
try:
    subprocess.run(["sleep", "60"], timeout=0.1)
except subprocess.TimeoutExpired:
    waited("subprocess.run", 0.1)
with_condition = threading.Condition()
with with_condition:
    with_condition.wait(0.1)
waited("Condition.wait", 0.1)
answer.write(request, request["instances"])
