-- Targets as data sets hold them.
local core = require "sonde.core"
local fail = require "sonde.fail"

-- int64 tensors are labels, counted from labels_from (default 1), and become 1..C; others are numbers, which must all
-- be finite: a NaN among them would silently make the loss NaN. `where` begins the message.
return function(where, y, labels_from)
  y = y:detach():contiguous()
  if y.dtype == "int64" then return core.data.labels(y, labels_from or 1) end
  local wrong = (y - y):ne(0):flatten() -- NaN for NaN and the infinities
  if wrong:sum():item() > 0 then
    local at = wrong:to("float32"):argmax(1):item()
    local value = y:flatten()[at]:item()
    fail("%s: the target of sample %d is %s: every sample needs a finite one", where, (at - 1) // (#wrong // #y) + 1,
      value ~= value and "NaN" or value > 0 and "inf" or "-inf")
  end
  return y
end
