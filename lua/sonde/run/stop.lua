-- The error value that ends a run early. Nothing but a pcall in a recipe can hold it up; the next step raises it again.
local Stop = { __tostring = function(self) return self.reason end }
Stop.__index = Stop

-- status: of the run ("interrupted", "failed", or "peeked"); exit: the program's exit code.
function Stop.new(status, reason, exit)
  return setmetatable({ status = status, reason = reason, exit = exit }, Stop)
end

function Stop.is(value) return getmetatable(value) == Stop end

return Stop
