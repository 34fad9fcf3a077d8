--- Invitations as iCalendar (RFC 5545), to be sent by mail (iTIP REQUEST, RFC 5546; iMIP, RFC 6047).
local chars = require "chars"

local icalendar = {}

local OCTETS = 75 -- RFC 5545, 3.1: a line's most, without its end

--- A value of type TEXT (3.3.11).
local function text(value)
  return (value:gsub("[\\;,]", "\\%0"):gsub("\r?\n", "\\n"):gsub("[%z\1-\31\127]", " "))
end

--- A content line, folded between characters.
local function fold(line) return table.concat(chars.pieces(line, OCTETS, " "), "\r\n") end

---@class icalendar.event
---@field uid string          its own for ever: who gets it twice sees one
---@field stamp string        when it was made, as 20270131T120000Z; so are start and stop
---@field start string
---@field stop string
---@field summary string
---@field description string
---@field location string?
---@field organizer string    address
---@field attendees string[]  addresses

--- A calendar with one event, to which the attendees are invited.
---@param event icalendar.event
---@return string calendar  lines end with CRLF
function icalendar.request(event)
  local lines = {
    "BEGIN:VCALENDAR", "PRODID:-//gate-engine//go-live//EN", "VERSION:2.0", "CALSCALE:GREGORIAN", "METHOD:REQUEST", "BEGIN:VEVENT",
    "UID:" .. text(event.uid), "DTSTAMP:" .. event.stamp, "DTSTART:" .. event.start, "DTEND:" .. event.stop, "SEQUENCE:0",
    "STATUS:CONFIRMED", "TRANSP:OPAQUE", "SUMMARY:" .. text(event.summary), "DESCRIPTION:" .. text(event.description),
    "ORGANIZER:mailto:" .. event.organizer,
  }
  if event.location then lines[#lines + 1] = "LOCATION:" .. text(event.location) end
  for _, address in ipairs(event.attendees) do
    lines[#lines + 1] = "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:" .. address
  end
  lines[#lines + 1] = "END:VEVENT"
  lines[#lines + 1] = "END:VCALENDAR"
  for i, line in ipairs(lines) do lines[i] = fold(line) end
  return table.concat(lines, "\r\n") .. "\r\n"
end

return icalendar
