--- Damaged copies of a file's bytes: the same for the same number.
--- damage(whole, number): cut off somewhere, with one bit turned, or with some bytes at random, most near the start,
--- where the structure lies.
return function(whole, number)
  math.randomseed(number)
  local kind = number % 4
  if kind == 0 then return whole:sub(1, math.random(0, #whole - 1)) end
  local pieces, places, at = {}, {}, 1
  for i = 1, kind == 1 and 1 or math.random(1, 20) do
    places[i] = math.random(1, math.random() < 0.7 and 30000 or #whole)
  end
  table.sort(places)
  for _, place in ipairs(places) do
    if place >= at then
      pieces[#pieces + 1] = whole:sub(at, place - 1)
      local bit = 1 << math.random(0, 7)
      pieces[#pieces + 1] = string.char(kind == 1 and whole:byte(place) ~ bit or math.random(0, 255))
      at = place + 1
    end
  end
  return table.concat(pieces) .. whole:sub(at)
end
