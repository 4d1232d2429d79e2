-- sonde.measure: what is too dear to be measured at every step, by name in the `what` of a probe:
--     run:probe(net, { what = { "weight_grad", "gradient_noise", hessian = { every = { log = 5 } } }, loss = loss_fn })
-- Each writes a group of its own, with a row for each step in which it was measured. Without a schedule of its own a
-- measure has the probe's `every`, else 100.
local core = require "sonde.core"
local Measures = require "sonde.measure.measures"
local fail = require "sonde.fail"
local kinds = require "sonde.measure.kinds"
local schedule = require "sonde.measure.schedule"
local shown = require "sonde.shown"
local suggest = require "sonde.suggest"

local measure = { new = Measures.new }

local default_every = 100

local function is_group(name)
  for _, group in ipairs(core.probe.groups()) do
    if group == name then return true end
  end
  return false
end

local function all_names()
  local names = core.probe.groups()
  table.move(kinds.names, 1, #kinds.names, #names + 1, names)
  return names
end

-- One measure asked for: { name =, kind =, settings =, is_due = function(step, last) }
local function request(where, name, options, every)
  local kind = kinds[name]
  local here = ("%s: '%s'"):format(where, name)
  local known = table.move(kind.options, 1, #kind.options, 2, { "every" })
  table.sort(known)
  options = suggest.check_options(here, options, known)
  if options.every ~= nil then every = options.every end
  return {
    name = name, kind = kind, where = here, settings = kind.settings(here, options),
    is_due = schedule(("%s: every of '%s'"):format(where, name), every == nil and default_every or every),
  }
end

-- The names of `what` with their options, in a fixed order: those of the list, then the keys in alphabetical order.
local function entries(where, what)
  local list, keys, seen = {}, {}, {}
  for _, name in ipairs(what) do list[#list + 1] = { name } end
  for key in next, what do
    if math.type(key) ~= "integer" then keys[#keys + 1] = shown(key) end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do list[#list + 1] = { key, what[key] } end
  for _, entry in ipairs(list) do
    local name = entry[1]
    if not kinds[name] and not is_group(name) then
      fail("%s: %s", where, suggest.unknown("group", name, all_names()))
    end
    if entry[2] ~= nil and not kinds[name] then
      fail("%s: '%s' has no options of its own; what is measured at every step is named in the list", where, name)
    end
    if seen[name] then fail("%s: '%s' is named twice", where, name) end
    seen[name] = true
  end
  return list
end

-- Takes the costly measures from a probe's options: the options of the rest, nil if nothing else is measured, with
-- is_due in place of a schedule that is no number (see probe/cadence.lua); and a list of requests for Measures:attach.
function measure.split(where, options)
  local rest, requests, groups = {}, {}, {}
  for name, value in next, options do rest[name] = value end
  rest.budget = nil
  if options.every ~= nil and type(options.every) ~= "number" then
    rest.every, rest.is_due = nil, schedule(where .. ": every", options.every)
  end
  if type(options.what) ~= "table" then return rest, requests end
  for _, entry in ipairs(entries(where, options.what)) do
    if kinds[entry[1]] then
      requests[#requests + 1] = request(where, entry[1], entry[2], options.every)
    else
      groups[#groups + 1] = entry[1]
    end
  end
  if #requests == 0 then return rest, requests end
  if #groups == 0 then return nil, requests end
  rest.what = groups
  if options.input == nil then rest.loss = nil end -- it is the measures'
  return rest, requests
end

return measure
