-- nn.utils.parametrize: one's own parametrisations of any parameter of any module. nn.utils.parametrizations has the
-- ready-made ones.
local core = require "sonde.core"
local fail = require "sonde.fail"
local autograd = require "sonde.autograd"
local nn = core.nn
local parametrize = nn.utils.parametrize
local register = parametrize._register

local Function = nn.Module:extend "FunctionParametrization"

function Function:init(fn) self.fn = fn end

function Function:forward(...) return self.fn(...) end

-- What right_inverse gives for the tensor there is: the originals; the tensor itself where there is no such method.
local function originals_of(parametrization, value)
  local inverse = parametrization.right_inverse
  if inverse == nil then return { value } end
  if type(inverse) ~= "function" then
    fail("register_parametrization: right_inverse must be a method, got a %s", type(inverse))
  end
  local found = table.pack(autograd.no_grad(inverse, parametrization, value))
  for i = 1, math.max(found.n, 1) do
    if getmetatable(found[i]) ~= "Tensor" then
      fail("register_parametrization: right_inverse returned a %s as value %d, expected Tensor", type(found[i]), i)
    end
    found[i] = found[i]:detach()
  end
  return found
end

--- register_parametrization(module, name, parametrization): parameter `name` is from now on what the parametrisation,
--- a module or a function, makes of the original in module.parametrizations[name]. A module's method
--- right_inverse(value) gives the originals (one or more, the arguments of its forward) for the value there is;
--- without it, and for a function, the value is the original. On a parameter that is parametrised already it comes
--- last. Returns the module.
function parametrize.register_parametrization(module, name, parametrization)
  if not nn.is_module(module) then
    fail("bad argument 'module' to register_parametrization: expected Module, got %s", type(module))
  end
  if type(parametrization) == "function" then parametrization = Function(parametrization) end
  if not nn.is_module(parametrization) then
    fail("bad argument 'parametrization' to register_parametrization: expected Module or function, got %s",
      type(parametrization))
  end
  if type(name) ~= "string" then
    fail("bad argument 'name' to register_parametrization: expected string, got %s", type(name))
  end
  if parametrize.is_parametrized(module, name) then return register(module, name, parametrization) end
  local names, values = module:own_parameters()
  for i, own in ipairs(names) do
    if own == name then
      return register(module, name, parametrization, originals_of(parametrization, values[i]:detach()))
    end
  end
  fail("%s has no parameter '%s'; there %s", module:class_name(), name,
    #names > 0 and "are: " .. table.concat(names, ", ") or "are none")
end

return parametrize
