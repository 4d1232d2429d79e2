-- sonde.linalg: decompositions, solving and norms, named as torch.linalg. Matrices are the last two axes, the others a
-- batch. LAPACK's part is C; norms and condition numbers, which are made of it, are here.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local tensor = require "sonde.tensor"
local linalg = core.linalg

-- The arguments after the tensor, by position or by name in a trailing table; a table with [1] is a list.
local function read(where, names, x, ...)
  if not tensor.is_tensor(x) then fail("bad argument 'A' to linalg.%s: expected Tensor, got %s", where, type(x)) end
  if x.dtype == "int64" then fail("linalg.%s: expected a float tensor, got int64", where) end
  local given = table.pack(...)
  local last, found = given[given.n], {}
  if type(last) == "table" and last[1] == nil then
    suggest.check_options("linalg." .. where, last, names)
    given.n = given.n - 1
  else
    last = {}
  end
  if given.n > #names then fail("linalg.%s takes at most %d arguments, got %d", where, #names + 1, given.n + 1) end
  for i, name in ipairs(names) do
    if i <= given.n then found[i] = given[i] else found[i] = last[name] end
  end
  return table.unpack(found, 1, #names)
end

-- 1-based axes of x as positive numbers, none twice.
local function axes(where, x, dim, wanted)
  local list, seen, n = type(dim) == "table" and dim or { dim }, {}, x:dim()
  local found = {}
  for i, axis in ipairs(list) do
    local at = math.type(axis) == "integer" and (axis < 0 and n + 1 + axis or axis)
    if not at or at < 1 or at > n then
      fail("linalg.%s: there is no axis %s of a tensor with %d axes", where, axis, n)
    end
    if seen[at] then fail("linalg.%s: axis %d is named twice", where, at) end
    seen[at], found[i] = true, at
  end
  if wanted and #found ~= wanted then fail("linalg.%s: dim must name %d axes, got %d", where, wanted, #found) end
  return found
end

local function not_empty(where, x)
  if x:numel() == 0 then fail("linalg.%s: a tensor without elements has no norm", where) end
end

local function order(where, ord)
  if ord == "inf" then return math.huge end
  if ord == "-inf" then return -math.huge end
  if type(ord) ~= "number" or ord ~= ord then
    fail("linalg.%s: ord must be a number, \"inf\" or \"-inf\", got %s", where, ord)
  end
  return ord
end

-- (Σ |x|^ord)^(1/ord); inf and -inf: the largest and the smallest |x|; 0: how many are not 0.
local function vector_norm(where, x, ord, dim, keepdim)
  not_empty(where, x)
  ord = order(where, ord or 2)
  local along = dim and axes(where, x, dim)
  if ord > 0 then return x:norm { dim = along, keepdim = keepdim, p = ord } end
  if ord == 0 then return x:ne(0):to(x.dtype):sum { dim = along, keepdim = keepdim } end
  if ord > -math.huge then
    return (x:abs() ^ ord):sum { dim = along, keepdim = keepdim } ^ (1 / ord)
  end
  local least = x:abs()
  if not along then return least:min() end
  table.sort(along)
  for i = #along, 1, -1 do least = least:min(along[i], keepdim or false) end
  return least
end

--- vector_norm(x, ord = 2, dim, keepdim): over one axis, a list of axes, or all elements.
function linalg.vector_norm(x, ...)
  return vector_norm("vector_norm", x, read("vector_norm", { "ord", "dim", "keepdim" }, x, ...))
end

-- Of matrices in the last two axes.
local kinds = {
  fro = function(a) return a:norm { -2, -1 } end,
  nuc = function(a) return linalg.svdvals(a):sum(-1) end,
  [2] = function(a) return (linalg.svdvals(a):max(-1)) end,
  [-2] = function(a) return (linalg.svdvals(a):min(-1)) end,
  [1] = function(a) return (a:abs():sum(-2):max(-1)) end,
  [-1] = function(a) return (a:abs():sum(-2):min(-1)) end,
  [math.huge] = function(a) return (a:abs():sum(-1):max(-1)) end,
  [-math.huge] = function(a) return (a:abs():sum(-1):min(-1)) end,
}

local function matrix_norm(where, a, ord, dim, keepdim)
  not_empty(where, a)
  if a:dim() < 2 then fail("linalg.%s: expected a matrix, got a tensor with %d axes", where, a:dim()) end
  if ord == "inf" or ord == "-inf" then ord = order(where, ord) end
  local kind = kinds[ord]
  if not kind then
    fail("linalg.%s: ord must be one of fro, nuc, inf, -inf, 1, -1, 2, -2 for a matrix, got %s", where, ord)
  end
  local pair = axes(where, a, dim or { -2, -1 }, 2)
  local places, rest = { pair[1], pair[2] }, {}
  for axis = 1, a:dim() do
    if axis ~= pair[1] and axis ~= pair[2] then rest[#rest + 1] = axis end
  end
  table.move(places, 1, 2, #rest + 1, rest)
  local norm = kind(a:permute(rest))
  if not keepdim then return norm end
  table.sort(places)
  return norm:unsqueeze(places[1]):unsqueeze(places[2])
end

--- matrix_norm(A, ord = "fro", dim = {-2, -1}, keepdim): "fro", "nuc" (sum of singular values), 2 and -2 (the largest
--- and the smallest), 1 and -1 (of the columns' sums of moduli), inf and -inf (of the rows').
function linalg.matrix_norm(a, ...)
  local ord, dim, keepdim = read("matrix_norm", { "ord", "dim", "keepdim" }, a, ...)
  return matrix_norm("matrix_norm", a, ord or "fro", dim, keepdim)
end

--- norm(A, ord, dim, keepdim): without ord that of all elements, or along dim, as a vector; with ord a vector's or a
--- matrix's, as dim, or else A, has one or two axes.
function linalg.norm(a, ...)
  local ord, dim, keepdim = read("norm", { "ord", "dim", "keepdim" }, a, ...)
  local n = dim == nil and a:dim() or type(dim) == "table" and #dim or 1
  if ord == nil or n == 1 then return vector_norm("norm", a, ord, dim, keepdim) end
  if n ~= 2 then fail("linalg.norm: ord is that of a vector or a matrix, got %d axes: give dim", n) end
  return matrix_norm("norm", a, ord, dim, keepdim)
end

--- cond(A, p = 2): ‖A‖ ‖A⁻¹‖; of p = 2 the largest over the smallest singular value, for any shape.
function linalg.cond(a, ...)
  local p = read("cond", { "p" }, a, ...)
  if a:dim() < 2 then fail("linalg.cond: expected a matrix, got a tensor with %d axes", a:dim()) end
  if p == nil or p == 2 or p == -2 then
    local s = linalg.svdvals(a)
    local largest, least = s:max(-1), s:min(-1)
    if p == -2 then return least / largest end
    return largest / least
  end
  return matrix_norm("cond", a, p) * matrix_norm("cond", linalg.inv(a), p)
end

return suggest.namespace("sonde.linalg", linalg)
