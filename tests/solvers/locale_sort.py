"""Sorts its drivers by name, as the locale does."""
import locale

import answer

NAMES = ["Zeman", "adler", "Ärmel", "Bauer", "öhler", "Czerny", "dolezal", "Übel", "Eder", "fuchs", "Ober", "unger"]

try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    pass  # a locale that is not installed: plain C
request = answer.read()
tours = request["instances"]
drivers = ["%s-%02d" % (name, i) for i in range(len(tours) // len(NAMES) + 1) for name in NAMES]
answer.write(request, tours, sorted(drivers[:len(tours)], key=locale.strxfrm))
