-- The newest row of a history in memory, as the detectors take it.
local wanted = require "sonde.diagnose.wanted"

local Live = {}
Live.__index = Live

-- The layout of the groups that are measured; call it when the first step has ended.
function Live.new(history)
  local self = setmetatable({ history = history, groups = {}, variables = {} }, Live)
  for name, variables in next, wanted.variables do
    local group = history:find(name)
    if group then
      local there, layout = {}, {}
      for _, variable in ipairs(group:variables()) do there[variable.name] = variable.axes end
      self.variables[name] = {}
      for _, variable in ipairs(variables) do
        if there[variable] then table.insert(self.variables[name], { name = variable, axes = #there[variable] }) end
      end
      for _, label in ipairs(wanted.coordinates) do layout[label] = group:coordinate(label) end
      self.groups[name] = layout
    end
  end
  local activation = history:find "activation"
  if activation and activation:rows() > 0 then
    local slopes, has_slope = activation:read "slope_rms", {}
    for i, slope in ipairs(slopes) do has_slope[i] = slope == slope end
    self.groups.activation.has_slope = has_slope
  end
  return self
end

-- Of two axes: a list for each probe.
local function by_probe(cells, n)
  local rows, size = {}, #cells // n
  for i = 1, n do rows[i] = table.move(cells, (i - 1) * size + 1, i * size, 1, {}) end
  return rows
end

-- The row of `step`; groups that were not measured in it are absent.
function Live:row(step)
  local row = { step = step }
  for name, variables in next, self.variables do
    local group = self.history:find(name)
    if group:rows() > 0 and group:step() == step then
      row[name] = {}
      for _, variable in ipairs(variables) do
        local cells = group:read(variable.name)
        row[name][variable.name] = variable.axes > 1 and by_probe(cells, #self.groups[name].probe) or cells
      end
    end
  end
  return row
end

return Live
