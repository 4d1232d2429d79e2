-- An optimiser's options as users name them, and the core's numbers behind them.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local options = {}

local FLAGS = { nesterov = true, maximize = true, amsgrad = true, centered = true, decoupled_weight_decay = true }
-- Lists of numbers, one of the core's numbers each.
local LISTS = {
  betas = { "beta1", "beta2" }, etas = { "eta_minus", "eta_plus" }, step_sizes = { "step_size_min", "step_size_max" },
  ns_coefficients = { "ns_a", "ns_b", "ns_c" },
}
-- Words for the core's 0 and 1.
local CHOICES = {
  line_search_fn = { number = "strong_wolfe", [0] = "none", "strong_wolfe" },
  adjust_lr_fn = { number = "match_rms_adamw", [0] = "original", "match_rms_adamw" },
}

local user_name = {} -- of a core's number that has another name
for name, numbers in pairs(LISTS) do
  for _, number in ipairs(numbers) do user_name[number] = name end
end
for name, choice in pairs(CHOICES) do user_name[choice.number] = name end

local known = {}

-- The names of a rule's options, in PyTorch's order; also name -> true.
function options.names(rule)
  if known[rule] then return known[rule] end
  local names = {}
  for _, number in ipairs((core.optim.options(rule))) do
    local name = user_name[number] or number
    if not names[name] then names[#names + 1], names[name] = name, true end
  end
  known[rule] = names
  return names
end

local function read_list(rule, into, name, value)
  local numbers, n = LISTS[name], 0
  for i in ipairs(numbers) do
    if type(value) == "table" and type(value[i]) == "number" then n = n + 1 end
  end
  if n ~= #numbers or #value ~= n then
    fail("bad argument '%s' to optim.%s: expected %s numbers, got %s", name, rule, #numbers == 2 and "two" or "three",
      type(value))
  end
  for i, number in ipairs(numbers) do into[number] = value[i] end
end

-- Checks the kind of one option's value and puts the core's numbers for it into `into`.
function options.read(rule, into, name, value)
  local kind, choice = type(value), CHOICES[name]
  if LISTS[name] then
    read_list(rule, into, name, value)
  elseif choice then
    if value ~= choice[0] and value ~= choice[1] then
      fail("bad argument '%s' to optim.%s: %s", name, rule, suggest.unknown("choice", value, { choice[0], choice[1] }))
    end
    into[choice.number] = value == choice[1] and 1 or 0
  elseif FLAGS[name] then
    if kind ~= "boolean" then fail("bad argument '%s' to optim.%s: expected boolean, got %s", name, rule, kind) end
    into[name] = value and 1 or 0
  elseif kind ~= "number" then
    fail("bad argument '%s' to optim.%s: expected number, got %s", name, rule, kind)
  else
    into[name] = value
  end
end

-- The same for a table of options, which may have `params` as well. Returns `into`.
function options.read_all(rule, given, into)
  local names = options.names(rule)
  local wrong = suggest.first_unknown(given, { "params", table.unpack(names) })
  if wrong then fail("optim.%s: %s", rule, suggest.unknown("option", wrong, names)) end
  for name, value in pairs(given) do
    if name ~= "params" then options.read(rule, into, name, value) end
  end
  return into
end

-- The value of an option as users see it; number(name) is the core's.
function options.show(name, number)
  local choice = CHOICES[name]
  if choice then return choice[math.tointeger(number(choice.number))] end
  if FLAGS[name] then return number(name) ~= 0 end
  if not LISTS[name] then return number(name) end
  local list = {}
  for i, part in ipairs(LISTS[name]) do list[i] = number(part) end
  return list
end

return options
