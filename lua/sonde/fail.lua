-- Raises an error at the line of the caller outside the library: fail("run:log: '%s' is no name", name). A value for %s
-- may be anything.
local core = require "sonde.core"
local shown = require "sonde.shown"

return function(format, ...)
  local values = table.pack(...)
  for i = 1, values.n do
    if type(values[i]) ~= "number" then values[i] = shown(values[i]) end
  end
  core.raise(values.n > 0 and format:format(table.unpack(values, 1, values.n)) or format)
end
