-- The nearest right word for a wrong one, and the sentence that says so.
local core = require "sonde.core"
local fail = require "sonde.fail"
local shown = require "sonde.shown"

local suggest = {}

-- "unknown option 'lrr' (did you mean 'lr'?); there are: batch_size, lr"
function suggest.unknown(kind, word, words)
  local texts = {}
  for i, candidate in ipairs(words) do texts[i] = shown(candidate) end
  local nearest = core.nearest(shown(word), texts)
  return ("unknown %s '%s'%s; there %s"):format(kind, shown(word),
    nearest and (" (did you mean '%s'?)"):format(nearest) or "",
    #texts == 0 and "are none" or "are: " .. table.concat(texts, ", "))
end

-- Raises for a name that `where` ("sonde.nn") does not have; `names` are those it has.
function suggest.missing(where, word, names)
  local nearest = core.nearest(word, names)
  fail("%s has no '%s'%s", where, word, nearest and ("; did you mean '%s'?"):format(nearest) or "")
end

-- Makes it an error to read a name that the table `t` does not have; returns t. rawget(t, name) asks whether there is
-- one. A name that begins with "_" is nil: printers and the like ask any table for such. lazy: a set of names, each of
-- them loaded as the module `where`.name when it is first read.
function suggest.namespace(where, t, lazy)
  lazy = lazy or {}
  local function name_of(key) return type(key) == "string" and key:sub(1, 1) ~= "_" and key end
  local meta = getmetatable(t) or {}
  function meta.__index(_, key)
    if not name_of(key) then return nil end
    if lazy[key] then
      t[key] = require(where .. "." .. key)
      return t[key]
    end
    local names = {}
    for name in next, t do names[#names + 1] = name_of(name) or nil end
    for name in next, lazy do names[#names + 1] = name end
    table.sort(names)
    suggest.missing(where, key, names)
  end
  return setmetatable(t, meta)
end

-- The key of `given` that is none of `names`, as text; of several the first in alphabetical order, so that a message is
-- the same each time.
function suggest.first_unknown(given, names)
  local known, unknown = {}, nil
  for _, name in ipairs(names) do known[name] = true end
  for key in next, given do
    local word = shown(key)
    if not known[key] and (unknown == nil or word < unknown) then unknown = word end
  end
  return unknown
end

-- Raises unless every key of `given` (nil: none) is one of `names`; returns the options. `where` begins the message
-- ("run:batches").
function suggest.check_options(where, given, names)
  if given == nil then return {} end
  if type(given) ~= "table" then fail("%s: expected a table of options, got %s", where, type(given)) end
  local wrong = suggest.first_unknown(given, names)
  if wrong then fail("%s: %s", where, suggest.unknown("option", wrong, names)) end
  return given
end

return suggest
