-- math.random and math.randomseed for recipes: the same signatures, drawn from the user stream of the run.
local random = {}

local function user() return (require("sonde.core").random.current()) end

function random.random(low, high)
  if not low then return user():uniform() end
  if not high then
    if low == 0 then return user():integer(math.mininteger, math.maxinteger) end
    low, high = 1, low
  end
  return user():integer(low, high)
end

-- Starts the user stream again from a number; the clock is no seed, for a run must be repeatable.
function random.randomseed(seed)
  local number = math.tointeger(tonumber(seed))
  if not number then error("math.randomseed needs a whole number here; the run's seed is set by --seed", 2) end
  user():seed(number)
end

return random
