-- Can it be called as a loss is? A function or a module; Lua tables may be called as well.
local core = require "sonde.core"

return function(value)
  local kind = type(value)
  if kind == "table" then return (getmetatable(value) or {}).__call ~= nil end
  return kind == "function" or kind == "userdata" and not core.tensor.is_tensor(value)
end
