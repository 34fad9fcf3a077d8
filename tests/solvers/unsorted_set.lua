-- Walks a set with pairs: Lua seeds the hash of its strings from the clock and an address.
local text = io.read "a"
local tours = {}
for object in text:match('"instances":(%b[])'):gmatch "%b{}" do
  tours[object:match '"id":"([^"]*)"'] = object:match '"day":(%d+)'
end
local rows = {}
for id, day in pairs(tours) do
  local driver = ("D%04d"):format(#rows + 1)
  rows[#rows + 1] = ('{"driver_id":"%s","tour_instance_id":"%s","day":%s,"block_id":"%s-%s","block_type":"1er"}'):format(driver, id, day,
    driver, day)
end
io.write(('{"solver":{"name":"planted","version":"1"},"seed":%s,"drivers":%d,"assignments":[%s]}'):format(text:match '"seed":(-?%d+)',
  #rows, table.concat(rows, ",")))
