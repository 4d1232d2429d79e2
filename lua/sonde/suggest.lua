-- The nearest right word for a wrong one, and the sentence that says so.
local core = require "sonde.core"
local fail = require "sonde.fail"

local suggest = {}

-- "unknown option 'lrr' (did you mean 'lr'?); there are: batch_size, lr"
function suggest.unknown(kind, word, words)
  local texts = {}
  for i, candidate in ipairs(words) do texts[i] = tostring(candidate) end
  local nearest = core.nearest(tostring(word), texts)
  return ("unknown %s '%s'%s; there %s"):format(kind, tostring(word),
    nearest and (" (did you mean '%s'?)"):format(nearest) or "",
    #texts == 0 and "are none" or "are: " .. table.concat(texts, ", "))
end

-- Raises unless every key of `given` (nil: none) is one of `names`; returns the options. `where` begins the message
-- ("run:batches").
function suggest.check_options(where, given, names)
  if given == nil then return {} end
  if type(given) ~= "table" then fail("%s: expected a table of options, got %s", where, type(given)) end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for key in next, given do
    if not known[key] then fail("%s: %s", where, suggest.unknown("option", key, names)) end
  end
  return given
end

return suggest
