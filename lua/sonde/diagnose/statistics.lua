-- Robust statistics of short lists. NaN is never an element; an empty list gives nil.
local statistics = {}

-- The middle value (mean of the two middle ones); sorts a copy.
function statistics.median(list)
  local n = #list
  if n == 0 then return nil end
  local sorted = table.move(list, 1, n, 1, {})
  table.sort(sorted)
  return (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
end

-- Slope of y over 1..n: the median of the slopes of all pairs (Theil 1950, Sen 1968). nil for fewer than two.
function statistics.theil_sen(y)
  local slopes = {}
  for i = 1, #y do
    for j = i + 1, #y do slopes[#slopes + 1] = (y[j] - y[i]) / (j - i) end
  end
  return statistics.median(slopes)
end

-- Share of the variance of y that the line with this slope (through the medians) explains; 1 for constant y.
function statistics.r2(y, slope)
  local residuals = {}
  for i, value in ipairs(y) do residuals[i] = value - slope * i end
  local offset, mean = statistics.median(residuals), 0
  for _, value in ipairs(y) do mean = mean + value / #y end
  local left, total = 0, 0
  for i, value in ipairs(y) do
    left = left + (residuals[i] - offset) ^ 2
    total = total + (value - mean) ^ 2
  end
  return total > 0 and 1 - left / total or 1
end

function statistics.mean(list)
  if #list == 0 then return nil end
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum / #list
end

function statistics.is_finite(x) return x ~= nil and x - x == 0 end

return statistics
