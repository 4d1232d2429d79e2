-- Tables and bars for people, as plain text.
local text = {}

local blocks = { "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" }

-- A horizontal bar for share (0..1) of `width` cells, padded to that width; anything above 0 shows at least a trace.
function text.bar(share, width)
  if share ~= share then return (" "):rep(width) end
  local eighths = math.floor(math.max(0, math.min(1, share)) * width * 8 + 0.5)
  if share > 0 and eighths == 0 then eighths = 1 end
  local whole, part = eighths // 8, eighths % 8
  return blocks[8]:rep(whole) .. (part > 0 and blocks[part] or "") .. (" "):rep(width - whole - (part > 0 and 1 or 0))
end

-- A logarithmic scale for positive finite numbers: share(x) is 0..1 between its powers of ten `low` and `high`.
function text.log_scale(numbers)
  local low, high = math.huge, -math.huge
  for _, x in ipairs(numbers) do
    if x > 0 and x < math.huge then
      local decade = math.log(x, 10)
      low, high = math.min(low, math.floor(decade)), math.max(high, math.ceil(decade))
    end
  end
  if low > high then low, high = -1, 0 end
  if low == high then low = low - 1 end
  return {
    low = low, high = high,
    share = function(x)
      if x ~= x then return x end
      if x <= 0 then return 0 end
      return math.max(1e-9, math.min(1, (math.log(x, 10) - low) / (high - low)))
    end,
  }
end

-- 1.3e-13, 0.021, 0, inf, nan; whole numbers keep every digit: 1500. "–" for nothing.
function text.number(x)
  if not x then return "–" end
  if x ~= x then return "nan" end
  if math.type(x) == "integer" then return tostring(x) end
  local size = math.abs(x)
  if size < 1e6 and x % 1 == 0 then return ("%.0f"):format(x + 0.0) end -- -0.0 too
  if size >= 1e3 and size < 1e4 then return ("%.0f"):format(x) end
  return ((size >= 1e-3 and size < 1e4) and "%.3g" or "%.1e"):format(x)
end

-- 784000 → 784,000
function text.count(n)
  local digits = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (digits:gsub("^,", ""))
end

local function width_of(cell) return utf8.len(cell) or #cell end

-- Words in lines of at most `width` columns (a longer word gets a line of its own): a list, never empty.
function text.wrap(words, width)
  local lines = { "" }
  for word in words:gmatch "%S+" do
    local line = lines[#lines]
    if line == "" then
      lines[#lines] = word
    elseif width_of(line) + 1 + width_of(word) <= width then
      lines[#lines] = line .. " " .. word
    else
      lines[#lines + 1] = word
    end
  end
  return lines
end

-- Rows of cells in aligned columns. align: one letter per column, "l" or "r". The first row is the head.
function text.columns(rows, align)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width_of(cell)) end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local pad = (" "):rep(widths[i] - width_of(cell))
      cells[i] = align:sub(i, i) == "r" and pad .. cell or cell .. pad
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n")
end

return text
