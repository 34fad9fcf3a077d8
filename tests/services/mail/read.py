"""read.py FILE: what a mail client sees of a message, as JSON: read by Python's email package and the icalendar library."""
import email
import email.policy
import json
import sys

import icalendar

with open(sys.argv[1], "rb") as f:
    raw = f.read()
message = email.message_from_bytes(raw, policy=email.policy.strict)
out = {"headers": {k.lower(): str(v) for k, v in message.items()}, "lines": max(len(line) for line in raw.split(b"\r\n")),
       "bare": raw.replace(b"\r\n", b"").count(b"\n"), "types": [], "files": []}
for part in message.walk():
    out["types"].append(part.get_content_type())
    if part.defects:
        raise SystemExit("defects: %s" % part.defects)
    if part.get_content_type() == "text/plain":
        out["text"] = part.get_content()
    elif part.get_content_type() == "text/calendar":
        out["calendar_method"] = part.get_param("method")
        calendar = icalendar.Calendar.from_ical(part.get_payload(decode=True))
        event, = calendar.walk("VEVENT")
        attendees = event["ATTENDEE"] if isinstance(event["ATTENDEE"], list) else [event["ATTENDEE"]]
        out["event"] = {"method": calendar["METHOD"], "start": event["DTSTART"].dt.isoformat(), "stop": event["DTEND"].dt.isoformat(),
                        "summary": event["SUMMARY"], "place": event.get("LOCATION"), "organizer": event["ORGANIZER"],
                        "attendees": attendees, "uid": event["UID"]}
    elif part.get_filename():
        out["files"].append(part.get_filename())
        with open("%s.%s" % (sys.argv[1], part.get_filename()), "wb") as f:
            f.write(part.get_payload(decode=True))
json.dump(out, sys.stdout)
