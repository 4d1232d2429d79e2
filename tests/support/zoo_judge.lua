--- What is wrong with the diagnosis of a zoo's run: names missed, names too many, and the first fault of place or time
--- of the finding that the case is about (expect[1]).
local zoo = require "support.zoo"

local function contains(list, item)
  for _, x in ipairs(list or {}) do
    if x == item then return true end
  end
  return false
end

--- `at`: the step at which the harm was done (1), to be found within 10 % of the run; `since` = { from, to } instead.
local function fault_of_time(case, finding)
  local steps, at = case.steps or zoo.default_steps, case.at or 1
  local since = case.since or { at - steps / 10, at + steps / 10 }
  if finding.since_step < since[1] or finding.since_step > since[2] then
    return ("since step %d, not %g to %g"):format(finding.since_step, since[1], since[2])
  end
end

--- `layers`: a name that must be among them; `only`: all there are.
local function fault_of_place(case, finding)
  local named = table.concat(finding.layers, " ")
  if case.layers and not contains(finding.layers, case.layers) then
    return ("'%s' is not among the layers (%s)"):format(case.layers, named)
  end
  if case.only and named ~= table.concat(case.only, " ") then
    return ("the layers are %s, not %s"):format(named, table.concat(case.only, " "))
  end
end

return function(case, report)
  local missed, extra, there = {}, {}, {}
  for _, finding in ipairs(report.findings) do
    there[finding.pathology] = finding
    if not contains(case.expect, finding.pathology) and not contains(case.also, finding.pathology) then
      extra[#extra + 1] = finding.pathology
    end
  end
  for _, name in ipairs(case.expect) do
    if not there[name] then missed[#missed + 1] = name end
  end
  local first = there[case.expect[1]]
  return missed, extra, first and (fault_of_time(case, first) or fault_of_place(case, first))
end
