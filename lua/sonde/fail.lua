-- Raises an error at the line of the caller outside the library: fail("run:log: '%s' is no name", name).
local core = require "sonde.core"

return function(format, ...)
  core.raise(select("#", ...) > 0 and format:format(...) or format)
end
