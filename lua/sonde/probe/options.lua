-- What the options of a probe ask for: of run:probe and sonde.probe.attach.
local fail = require "sonde.fail"
local measure = require "sonde.measure"
local samples = require "sonde.probe.samples"

-- Returns the options of what is measured in the training's own passes (nil: nothing is), the fixed samples for it (nil
-- for none); and the costly measures asked for, a list, with what they are given (see measure/measures.lua).
return function(where, options)
  local rest, requests = measure.split(where, options)
  local given = { where = where, name = options.name, input = options.input, target = options.target,
                  loss = options.loss, budget = options.budget }
  local budget = options.budget
  if budget ~= nil and #requests == 0 then
    fail("%s: a budget is for costly measures, and none is named in what", where)
  end
  if budget ~= nil and (type(budget) ~= "number" or not (budget > 0 and budget <= 1)) then
    fail("%s: budget is the share of the run's time that costly measures may take, above 0 and at most 1, got %s",
      where, budget)
  end
  if #requests > 0 then samples.check(where, options, true) end
  if not rest then return nil, nil, requests, given end
  local fixed
  rest, fixed = samples.take(where, rest)
  return rest, fixed, requests, given
end
