-- os.exit in a recipe: ended at once, the program would leave FILE.part to be recovered. So while a recipe runs, it
-- ends the run, and the program when the file is finished.
local Stop = require "sonde.run.stop"
local recipes = require "sonde.recipe"

local function exit_code(code)
  if code == nil or code == true then return 0 end
  if code == false then return 1 end
  return math.tointeger(tonumber(code)) or error("os.exit: expected true, false or a whole number", 3)
end

-- Until the returned value is closed.
return function(object)
  local outer = os.exit
  rawset(os, "exit", function(code)
    local number, line = exit_code(code), recipes.line(object.recipe.chunks, 2)
    object.stopped = Stop.new(number == 0 and "interrupted" or "failed",
      ("%sos.exit(%s) was called"):format(line and line .. ": " or "", code == nil and "" or tostring(code)), number)
    object.stopped.quits = true
    error(object.stopped, 0)
  end)
  return setmetatable({}, { __close = function() rawset(os, "exit", outer) end })
end
