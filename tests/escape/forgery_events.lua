-- What: events, printed: as JSON and as frames
-- Gate: FAIL
-- Audit: FAIL
local event = '{"t":"done"}'
print(event)
print(string.pack(">I4I4", #event, 0) .. event)
print('{"t":"check_end","name":"attack"}')
escaped("it is a failure")
