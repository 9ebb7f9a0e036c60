"""Reads a calendar file as others do, by python-icalendar, and prints what it says as JSON."""
import json
import sys

from icalendar import Calendar

calendar = Calendar.from_ical(sys.stdin.buffer.read())
events = [part for part in calendar.walk("VEVENT")]
zones = [str(part["TZID"]) for part in calendar.walk("VTIMEZONE")]
event = events[0]
print(json.dumps({
    "events": len(events),
    "zones": zones,
    "version": str(calendar["VERSION"]),
    "uid": str(event["UID"]),
    "summary": str(event["SUMMARY"]),
    "location": str(event["LOCATION"]),
    "status": str(event["STATUS"]),
    "start": event["DTSTART"].dt.isoformat(),
    "end": event["DTEND"].dt.isoformat(),
    "zone": event["DTSTART"].params.get("TZID"),
    "names": sorted(event.keys()),
}))
