-- When something is measured: `every` = n, the steps with (step - 1) % n == 0; { log = n }, n steps per decade, evenly
-- spaced on a log scale, the first among them: round(10^(k/n)), k = 0, 1, …; function(step), those for which it returns
-- true. Schedules but the last also take the last step, where it is known.
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local function whole(where, value)
  local n = math.tointeger(value)
  if not n or n < 1 or type(value) ~= "number" then
    fail("%s must be a whole number of at least 1, got %s", where, value)
  end
  return n
end

-- Is a step the nearest to one of 10^(k/n)?
local function is_on_log_grid(step, n)
  local k = n * math.log(step, 10)
  for _, near in ipairs { math.floor(k), math.ceil(k) } do
    if math.floor(10 ^ (near / n) + 0.5) == step then return true end
  end
  return false
end

-- where: how messages begin ("run:probe: every of 'hessian'"). Returns is_due(step, last_step or nil).
return function(where, every)
  if type(every) == "function" then
    local asked, due
    return function(step) -- it is asked once for each step
      if asked == step then return due end
      asked, due = step, every(step)
      if type(due) ~= "boolean" then
        fail("%s: the function returns true or false for a step, got %s", where, type(due))
      end
      return due
    end
  end
  if type(every) ~= "table" then
    local n = whole(where, every)
    return function(step, last) return (step - 1) % n == 0 or step == last end
  end
  suggest.check_options(where, every, { "log" })
  local n = whole(where .. ": log, steps per decade,", every.log)
  return function(step, last) return is_on_log_grid(step, n) or step == last end
end
