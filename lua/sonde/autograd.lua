-- Grad mode and gradcheck. `sonde.no_grad(fn)`, or `local _ <close> = sonde.no_grad()` to the end of a block.
local core = require "sonde.core"
local fail = require "sonde.fail"
local enable = core.autograd.set_grad_enabled

local autograd = {
  gradcheck = core.autograd.gradcheck,
  is_grad_enabled = core.autograd.is_grad_enabled,
  set_grad_enabled = enable,
}

-- A function that runs another, or the rest of a block, with gradients on or off, and puts back what was.
local function mode(wanted, name)
  return function(fn, ...)
    if fn ~= nil and type(fn) ~= "function" then
      fail("bad argument 'fn' to sonde.%s: expected function or nothing, got %s", name, type(fn))
    end
    local before = enable(wanted)
    local guard = setmetatable({}, { __close = function() enable(before) end })
    if fn == nil then return guard end
    local _ <close> = guard
    return fn(...)
  end
end

autograd.no_grad = mode(false, "no_grad")
autograd.enable_grad = mode(true, "enable_grad")

return autograd
