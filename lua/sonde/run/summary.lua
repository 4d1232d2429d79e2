-- run:summary(net): a picture of a training for the terminal: layer by layer, the size of the gradient at the start and
-- now, and the share of the weights that have not moved at all.
local Run = require "sonde.run.object"
local fail = require "sonde.fail"
local text = require "sonde.text"

local Summary = {}
Summary.__index = Summary

local bar_width = 22

-- Call it before the training starts, print it at the end: it keeps a copy of the weights there are now. The network
-- must be probed with what = weight_grad (the default).
function Run:summary(net)
  if not self.nets[net] then fail("run:summary: the network must be probed first: run:probe(net)") end
  local before = {}
  for name, parameter in net:named_parameters() do
    if parameter.ndim >= 2 then
      before[#before + 1] = { name = name, now = parameter, old = parameter:detach():clone() }
    end
  end
  return setmetatable({ run = self, before = before, prefix = self.nets[net].prefix }, Summary)
end

local function unmoved_share(entry)
  local now = entry.now:detach()
  local n = 1
  for _, size in ipairs(now:shape()) do n = n * size end
  return now:eq(entry.old):sum():item() / n
end

-- { { layer =, start =, now =, unmoved = }, … } for the weights (parameters of two or more axes) in forward order.
function Summary:rows()
  local group = self.run.history:find("weight_grad")
  local first = self.run.first_gradients
  if not group or not first or group:rows() == 0 then return {} end
  local place = {}
  for i, name in ipairs(group:coordinate("probe")) do place[name] = i end
  local now, rows = group:read("l2_norm"), {}
  for _, entry in ipairs(self.before) do
    local i = place[self.prefix .. entry.name]
    if i then
      rows[#rows + 1] = { layer = entry.name:gsub("%.weight$", ""), start = first[i], now = now[i],
                          unmoved = unmoved_share(entry), place = i }
    end
  end
  table.sort(rows, function(a, b) return a.place < b.place end)
  return rows
end

-- Smallest gradient of a weight now over the largest one: far below 1 where gradients vanish on their way.
function Summary:ratio()
  local low, high = math.huge, 0
  for _, row in ipairs(self:rows()) do low, high = math.min(low, row.now), math.max(high, row.now) end
  return low / high
end

function Summary:__tostring()
  local rows, numbers = self:rows(), {}
  if #rows == 0 then return "no step has ended yet" end
  for _, row in ipairs(rows) do
    numbers[#numbers + 1], numbers[#numbers + 2] = row.start, row.now
  end
  local scale = text.log_scale(numbers)
  local lines = { { "layer", "gradient at the start", "", "gradient at the end", "", "weights that never moved" } }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = {
      row.layer, text.bar(scale.share(row.start), bar_width), text.number(row.start),
      text.bar(scale.share(row.now), bar_width), text.number(row.now), ("%.1f %%"):format(row.unmoved * 100),
    }
  end
  return text.columns(lines, "llrlrr")
    .. ("\nbars: L2 norm of each layer's weight gradient on a log scale, 1e%d to 1e%d\nweights never move where "
      .. "rounding swallows their steps, or where no gradient comes (dead units)"):format(scale.low, scale.high)
end

return Summary
