--- Random arguments, right and wrong ones. A source draws all it makes from one seed, so that a call can be repeated.
local sonde = require "sonde"
local core = require "sonde.core"
local nn, optim = sonde.nn, sonde.optim

local HUGE = {
  2 ^ 16 | 0, 2 ^ 20 | 0, 2 ^ 31 | 0, (2 ^ 31 | 0) - 1, 2 ^ 32 | 0, 2 ^ 53 | 0, 2 ^ 62 | 0, (2 ^ 62 | 0) // 3,
  math.maxinteger, math.mininteger, -(2 ^ 31 | 0), 2 ^ 31, 2 ^ 62,
}
local NUMBERS = {
  0, 1, -1, 2, 0.5, 0.1, 0.9, 1e-8, 1.5, -0.0, 1e300, -1e300, 1e-320, 1e18, 0 / 0, math.huge, -math.huge,
}
local STRINGS = {
  "", "x", "float32", "float64", "int64", "mean", "sum", "none", "relu", "tanh", "sigmoid", "fan_in", "same", "inf",
  "fro", "weight", "bias", "ij,jk->ik", "a\0b", "%s%d%n", "\xff\xfe", ("long"):rep(70), "/nowhere/x", "1.weight",
}

local Source = {}
Source.__index = Source

local function new(seed)
  return setmetatable({ stream = core.random.stream(seed, "fuzz"), sizes = {} }, Source)
end

function Source:chance(p) return self.stream:uniform() < p end
function Source:pick(list) return list[self.stream:integer(1, #list)] end

--- A size: mostly small, and then often one of those that the call has already.
function Source:size()
  local u = self.stream:uniform()
  if u < 0.35 and #self.sizes > 0 then return self:pick(self.sizes) end
  if u > 0.97 then return self:pick(HUGE) end
  if u > 0.94 then return -self.stream:integer(1, 3) end
  if u > 0.90 then return 0 end
  local n = u > 0.87 and self.stream:integer(5, 40) or self.stream:integer(1, 4)
  self.sizes[#self.sizes + 1] = n
  return n
end

function Source:number()
  return self:chance(0.5) and self.stream:uniform() or self:pick(NUMBERS)
end

function Source:string() return self:pick(STRINGS) end
function Source:boolean() return self:chance(0.5) end

--- A shape: half of them the last one, or that without its last axis, as two arguments often belong together.
function Source:shape(least, most)
  local last, shape = self.last_shape, {}
  if last and #last >= least and #last <= most and self:chance(0.5) then return last end
  if last and #last > least and #last <= most + 1 and self:chance(0.4) then
    return table.move(last, 1, #last - 1, 1, {})
  end
  for i = 1, self.stream:integer(least, most) do
    local known = #self.sizes > 0 and self:chance(0.7)
    shape[i] = known and self:pick(self.sizes) or self.stream:integer(self:chance(0.1) and 0 or 1, 4)
  end
  self.last_shape = shape
  return shape
end

--- Sizes that a message names are worth trying.
function Source:learn(message)
  for digits in message:gmatch("%f[%w]%d+%f[%W]") do
    if #digits < 3 then self.sizes[#self.sizes + 1] = tonumber(digits) end
  end
end

--- The same values with other strides, or as the result of an operation.
local function disguise(self, t)
  local u = self.stream:uniform()
  if u < 0.6 then return t end
  if u < 0.75 and t.ndim > 1 then return t:transpose(1, -1) end
  if u < 0.85 then return t:unsqueeze(1):expand({ self.stream:integer(0, 3), table.unpack(t:shape()) }) end
  return t * 1
end

function Source:tensor(dtype, ndim)
  local u, shape = self.stream:uniform(), self:shape(ndim or 0, ndim or 4)
  dtype = dtype or u < 0.65 and "float32" or u < 0.8 and "float64" or "int64"
  local t
  if dtype == "int64" then
    t = sonde.randint { low = self:chance(0.1) and -1 or 1, high = 3, size = shape }
  else
    t = self:chance(0.3) and sonde.rand(shape, { dtype = dtype }) or sonde.randn(shape, { dtype = dtype })
    if self:chance(0.08) then t:fill_(self:pick(NUMBERS)) end
    if t:numel() > 0 and self:chance(0.05) then t:view(-1)[1] = 0 / 0 end
    if self:chance(0.4) then t:requires_grad_() end
  end
  return not ndim and self:chance(0.5) and t.ndim < 4 and disguise(self, t) or t
end

--- Inputs of a module: tensors; of two, some are values and labels.
function Source:inputs(n)
  local list = {}
  for i = 1, n do list[i] = self:chance(0.95) and self:tensor() or self:any() end
  if n > 1 and self:chance(0.6) then
    local shape = self:shape(1, 3)
    list[1] = sonde.rand(shape, { requires_grad = self:boolean() })
    for i = 2, n do list[i] = sonde.rand(shape) end
    if self:chance(0.5) then list[n] = sonde.randint { low = 1, high = 2, size = table.move(shape, 1, 1, 1, {}) } end
  end
  return list
end

function Source:reservoir() return nn.EchoStateNetwork(self.stream:integer(1, 2), 4, 2) end

local MODULES = {
  function(self) return nn.Linear(self.stream:integer(1, 4), self.stream:integer(1, 4)) end,
  function() return nn.ReLU { inplace = true } end,
  function() return nn.Sequential { nn.Linear(3, 2), nn.Tanh() } end,
  function() return nn.Sequential {} end,
  function(self) return nn.LSTM(self.stream:integer(1, 4), 3) end,
  function() return nn.GRUCell(2, 2) end,
  function() return nn.BatchNorm1d(3) end,
  function() return nn.Conv2d(1, 2, 2) end,
  function() return nn.Residual(nn.Linear(3, 3)) end,
  function() return nn.CrossEntropyLoss() end,
  function() return nn.Concat():add("a", nn.Identity()):add("b", nn.ReLU()) end,
  Source.reservoir,
  function() return nn.TransformerEncoderLayer(4, 2, 3) end,
  function()
    local Own = nn.Module:extend("Own")
    function Own:forward(x) return x end
    return Own()
  end,
}

function Source:module() return self:pick(MODULES)(self) end

function Source:parameters()
  local list = {}
  for i = 1, self.stream:integer(1, 3) do
    list[i] = nn.Parameter(sonde.randn(self:shape(0, 2)))
    if self:chance(0.8) then list[i].grad = sonde.randn(list[i]:shape()) end
  end
  return list
end

function Source:optimizer()
  local name = self:pick { "SGD", "Adam", "LBFGS", "Rprop", "Muon" }
  local list = name == "Muon" and { nn.Parameter(sonde.randn(2, 3)) } or self:parameters()
  return optim[name](list, { lr = 0.1 })
end

function Source:schedules()
  local first = optim.SGD(self:parameters(), { lr = 0.1 })
  return { optim.lr_scheduler.StepLR(first, 2), optim.lr_scheduler.ExponentialLR(first, 0.9) }
end

function Source:dataset()
  local n = self.stream:integer(1, 5)
  return sonde.data.tensors { sonde.rand(n, 3), sonde.randint(1, 3, n) }
end

local FUNCTIONS = {
  function(...) return ... end,
  function() end,
  function() return 0.5 end,
  function() return {} end,
  function(x) return sonde.is_tensor(x) and x.dtype ~= "int64" and x:sum() or nil end,
  function() error "raised by the caller's own function" end,
}

function Source:activation() return self:pick { "tanh", "relu", "sigmoid", "gelu" } end
function Source:callback() return self:pick(FUNCTIONS) end

local TABLES = {
  function() return {} end,
  function(self) return { self:size() } end,
  function(self) return { self:size(), self:size() } end,
  function(self) return { self:number(), self:number() } end,
  function(self) return { { self:number() }, { self:number() } } end,
  function(self) return { { 1, 2 }, { self:any() } } end,
  function(self) return { self:any(), self:any() } end,
  function(self) return { self:tensor(), self:tensor() } end,
  function(self) return { self:string() } end,
  function(self) return { [self:string()] = self:any() } end,
  function(self) return { nil, self:any() } end,
  function(self) return self:parameters() end,
  function(self) return { params = self:parameters(), lr = self:number() } end,
  function(self) return { weight = self:tensor(), bias = self:tensor() } end,
  function() local t = {} t[1] = t return t end,
  function() local t = {} t.x = t return t end,
  function() local t = {} for _ = 1, 200 do t = { t } end return t end,
}

function Source:table() return self:pick(TABLES)(self) end

local REST = {
  function() return io.stdout end,
  function() return coroutine.create(os.clock) end,
  function() return sonde end,
  function() return core.random.stream(1, "x") end,
  function() return setmetatable({}, { __index = function() error "raised by the caller's own table" end }) end,
}

local ANY = {
  "size", "size", "size", "number", "string", "boolean", "tensor", "tensor", "tensor", "table", "table", "module",
  "optimizer", "dataset", "callback",
}

function Source:any()
  self.depth = (self.depth or 0) + 1
  local value
  if self.depth > 4 then
    value = 1
  elseif self:chance(0.04) then
    value = self:pick(REST)()
  elseif not self:chance(0.03) then
    local kind = self:pick(ANY)
    value = self[kind](self)
  end
  self.depth = self.depth - 1
  return value
end

-- What messages call the kinds of values: the first pattern that is found says what to try.
local KINDS = {
  { "options", function() return {} end },
  { "[Dd]ata ?[sS]et", Source.dataset }, { "EchoState", Source.reservoir }, { "lambda", Source.callback },
  { "steps", Source.size }, { "size", Source.size }, { "is missing", Source.number },
  { "list of %d*%-?D? ?[Tt]ensors", function(self) return { self:tensor(), self:tensor() } end },
  { "parameters", Source.parameters },
  { "int64", function(self) return self:tensor("int64") end },
  { "[tT]ensor", Source.tensor },
  { "list", function(self) return self:shape(1, 3) end },
  { "integer", Source.size }, { "whole number", Source.size },
  { "activation", Source.activation }, { "[mM]odule", Source.module }, { "[oO]ptimi[sz]er", Source.optimizer },
  { "Generator", function() return core.random.stream(1, "x") end },
  { "function", Source.callback }, { "boolean", Source.boolean }, { "string", Source.string },
  { "number", Source.number }, { "schedules", Source.schedules }, { "_lr", Source.number }, { "table", Source.table },
}

--- A value that fits what a message asks for.
function Source:wanted(text)
  local words = text:match("one of (.*)") or text:match("there are: (.*)")
  if words then
    local list = {}
    for word in words:gmatch("[%w_-]+") do list[#list + 1] = word end
    if #list > 0 then return self:pick(list) end
  end
  for _, kind in ipairs(KINDS) do
    if text:find(kind[1]) then return kind[2](self) end
  end
  return self:any()
end

return new
