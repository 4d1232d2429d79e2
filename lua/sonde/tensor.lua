-- sonde.tensor: makes tensors; sonde.tensor{...} is its call. The methods written in Lua are here, the others are C.
local core = require "sonde.core"
local fail = require "sonde.fail"
local receiver = require "sonde.receiver"
local suggest = require "sonde.suggest"
local tensor = core.tensor
local Tensor = tensor.Tensor

function tensor.is_tensor(value)
  return getmetatable(value) == "Tensor"
end

local function check_other(other, name)
  if not tensor.is_tensor(other) then
    fail("bad argument 'other' to Tensor:%s: expected Tensor, got %s", name, type(other))
  end
end

local function same_shape(a, b)
  local left, right = a:shape(), b:shape()
  for i = 1, math.max(#left, #right) do
    if left[i] ~= right[i] then return false end
  end
  return true
end

-- The same shape and the same values. NaN differs from everything, as everywhere.
function Tensor:equal(other)
  check_other(other, "equal")
  return same_shape(self, other) and self:detach():ne(other:detach()):sum():item() == 0
end

-- |self - other| <= atol + rtol |other| everywhere; equal infinities are close.
function Tensor:allclose(other, rtol, atol)
  check_other(other, "allclose")
  if type(rtol) == "table" then rtol, atol = rtol.rtol, rtol.atol end
  local a, b = self:detach():to("float64"), other:detach():to("float64")
  local near = (a - b):abs():le(b:abs() * (rtol or 1e-5) + (atol or 1e-8))
  return near:maximum(a:eq(b)):eq(0):sum():item() == 0
end

receiver("Tensor", Tensor, tensor.is_tensor)

return suggest.namespace("sonde.tensor", tensor)
