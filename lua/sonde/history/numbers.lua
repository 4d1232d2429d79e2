-- What the numbers of a file must satisfy. Each check returns a sentence about the first one that does not, or nil.
local open = require "sonde.history.open"

local numbers = {}

function numbers.sorted(t)
  local names = {}
  for name in next, t do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The first place where a tensor of zeros and ones holds a one: its indices; nil if there is none.
function numbers.first_place(mask)
  local shape, flat = mask:shape(), mask:reshape(-1)
  if flat:numel() == 0 or flat:max():item() == 0 then return nil end
  local at, place = flat:argmax():item() - 1, {}
  for d = #shape, 1, -1 do
    place[d] = at % shape[d] + 1
    at = at // shape[d]
  end
  return place
end

local function parts(file, path, shape, n, fn)
  local problem
  local ok, message = open.each_part(file, path, shape, n, function(first, part)
    problem = fn(first, part)
    return problem
  end)
  return ok and problem or message
end

function numbers.check_steps(file, path, shape)
  local before = -1
  return parts(file, path, shape, shape[1], function(first, part)
    local n = part:size(1)
    if part[1]:item() < before then return ("goes back in row %d"):format(first) end
    local back = n > 1 and numbers.first_place(part:narrow(1, 2, n - 1):lt(part:narrow(1, 1, n - 1)))
    before = part[n]:item()
    if back then return ("goes back in row %d"):format(first + back[1]) end
  end)
end

function numbers.check_limits(file, path, info, n, low, high)
  if not low or not info.type:find("^float") then return nil end
  return parts(file, path, info.shape, n, function(first, part)
    local place = numbers.first_place(part:lt(low):maximum(part:gt(high)))
    if not place then return nil end
    local value = part
    for _, i in ipairs(place) do value = value[i] end
    return ("is %g in row %d, expected %g to %g"):format(value:item(), first + place[1] - 1, low, high)
  end)
end

local NOT_MEASURED = 4294967295
local MOST = 1 << 24 -- histograms of a group that is checked: their counts of zeros are kept in memory

-- Elements of each histogram, [rows, probes], or nil where the file does not tell.
local function elements_of(file, path, shape, rows)
  local own = file:read(path .. "/n_elements")
  if own and own:dim() == 1 then return own:to("int64"):unsqueeze(1):expand(rows, shape[2]) end
  local whole = path:gsub("_hist$", "")
  local all, all_steps = file:read(whole .. "/n_elements"), file:read(whole .. "/step")
  local steps = file:read(path .. "/step")
  if not all or all:dim() ~= 2 or not all_steps or all:size(2) ~= shape[2] then return nil end
  local row_of, wanted = {}, {}
  for i, step in ipairs(all_steps:totable()) do row_of[step] = i <= all:size(1) and i or nil end
  for i, step in ipairs(steps:totable()) do
    if i > rows then break end
    if not row_of[step] then return nil end
    wanted[i] = row_of[step]
  end
  return all:to("int64"):index_select(1, wanted)
end

-- sum(counts) + n_zero + n_nonfinite = elements, wherever there was a measurement.
function numbers.check_histogram(file, path, rows)
  local info = file:info(path .. "/counts")
  if not info or #info.shape ~= 3 or info.shape[1] * info.shape[2] > MOST then return nil end
  local n_zero, n_bad = file:read(path .. "/n_zero"), file:read(path .. "/n_nonfinite")
  if not n_zero or not n_bad or rows == 0 then return nil end
  rows = math.min(rows, info.shape[1], n_zero:size(1), n_bad:size(1))
  local elements = elements_of(file, path, info.shape, rows)
  if not elements then return nil end
  return parts(file, path .. "/counts", info.shape, rows, function(first, part)
    local n = part:size(1)
    local zero, bad = n_zero:narrow(1, first, n), n_bad:narrow(1, first, n)
    local measured = zero:ne(NOT_MEASURED)
    local wrong = (part:sum(3) + zero + bad):ne(elements:narrow(1, first, n))
    local place = numbers.first_place(wrong:minimum(measured))
    if not place then return nil end
    return ("row %d, probe %d: counts, zeros and non-finite elements do not add up to the elements there are"):format(
      first + place[1] - 1, place[2])
  end)
end

return numbers
