--- Calls with random arguments, and of what they made: each must work, or raise an error that a person understands.
--- One seed makes one chain of calls: a target, tried with arguments that its messages ask for, and its results used.
--- fuzz.run(seed, calls) goes from chain to chain, the next seed being one higher, until so many calls are made;
--- fuzz.run(S, 1) repeats chain S alone.
local sonde = require "sonde"
local core = require "sonde.core"
local arguments_of = require "support.fuzz.calls"
local values = require "support.fuzz.values"
local targets = require "support.fuzz.targets"

local fuzz = {
  memory = 48 << 20, -- bytes that a call may take beyond those in use: huge sizes are refused at once
  seconds = 5,       -- of processor time: no call may take longer
  trace = nil,       -- a file that gets each call before it is made, to find one that ends the process
}

-- ---- is it a message? ----------------------------------------------------------------------------------------------

local UNCLEAR = {
  "attempt to", "'%?'", "%.c:%d", "0x%x%x%x", "%(null%)", "no field", "stack overflow", "not enough memory",
  "lua/sonde", "invalid value", "error in error", "assertion", "wrong number of arguments",
}

--- What is wrong with an error value, or nil. Its first line counts: a traceback of the caller's function may follow.
function fuzz.complaint(message)
  if type(message) ~= "string" then return "the error is a " .. type(message) end
  local line = message:match("^[^\n]*")
  if line:find("raised by the caller", 1, true) then return nil end
  local said = line:match("^a user's line:1: (.*)$")
  if not said then return "it is not at the caller's line" end
  for _, pattern in ipairs(UNCLEAR) do
    if said:find(pattern) then return "it says " .. said:match(pattern) end
  end
  if not said:find("%w+%W+%w+%W+%w+") then return "it is no sentence" end
end

-- ---- what was called -----------------------------------------------------------------------------------------------

local function shown(value, depth)
  local kind = type(value)
  if sonde.is_tensor(value) then
    return ("%s[%s]%s"):format(value.dtype, table.concat(value:shape(), ","), value.requires_grad and "g" or "")
  elseif sonde.nn.is_module(value) then
    return value:class_name()
  elseif kind == "string" then
    return #value > 30 and ("<%d bytes>"):format(#value) or ("%q"):format(value)
  elseif kind == "table" and getmetatable(value) == nil and depth < 3 then
    local parts = {}
    for key, part in next, value do parts[#parts + 1] = tostring(key) .. "=" .. shown(part, depth + 1) end
    return "{" .. table.concat(parts, ", ") .. "}"
  end
  return (kind == "number" or kind == "boolean") and tostring(value) or kind
end

local function describe(name, arguments)
  local parts = {}
  for i = 1, arguments.n do parts[i] = shown(arguments[i], 0) end
  return name .. "(" .. table.concat(parts, ", ") .. ")"
end

-- ---- a run ---------------------------------------------------------------------------------------------------------

local Run = setmetatable({}, { __index = require "support.fuzz.use" })
Run.__index = Run

--- Calls fn, a targets.caller; returns the results packed, or nil and the message.
function Run:attempt(name, fn, arguments)
  local function fail(problem)
    self.failures[#self.failures + 1] = ("seed %d: %s: %s"):format(self.seed, describe(name, arguments), problem)
  end
  self.calls = self.calls + 1
  if fuzz.trace then
    fuzz.trace:write(self.seed, " ", describe(name, arguments), "\n")
    fuzz.trace:flush()
  end
  core.memory_limit(sonde.memory().live_bytes + fuzz.memory)
  local began = os.clock()
  local ok, results = pcall(fn, table.unpack(arguments, 1, arguments.n))
  local seconds = os.clock() - began
  core.memory_limit(0)
  if seconds > fuzz.seconds then fail(("took %.1f s"):format(seconds)) end
  if ok then
    self.worked[name] = true
    return results
  end
  local problem = fuzz.complaint(results)
  if problem then fail(problem .. ": " .. tostring(results):match("^[^\n]*")) end
  return nil, tostring(results)
end

local callers = { tostring = targets.caller("parent", tostring) }

--- Calls a method of the first argument.
function Run:method(name, arguments)
  callers[name] = callers[name] or targets.caller("self:" .. name)
  return self:attempt(name, callers[name], arguments)
end

local TRIES = 8

--- The chain of the present seed.
function Run:chain(target)
  local source = values(self.seed)
  sonde.manual_seed(self.seed)
  local made = arguments_of.make(source, target)
  for _ = 1, TRIES do
    local results, message = self:attempt(target.name, target.fn, made.arguments)
    if results then
      for i = 1, results.n do self:use(source, results[i]) end
      break
    end
    if not arguments_of.mend(source, target, made, message) then break end
  end
  sonde.set_grad_enabled(true)
end

local all -- the targets

--- Makes at least so many calls. Returns the failures as texts, and how many of the targets' names were called with
--- success.
function fuzz.run(seed, calls)
  all = all or targets.all()
  local run = setmetatable({ seed = seed, calls = 0, failures = {}, worked = {} }, Run)
  while run.calls < calls do
    run:chain(all[run.seed % #all + 1])
    run.seed = run.seed + 1
    if sonde.memory().live_bytes > fuzz.memory then collectgarbage() end
  end
  local worked = 0
  for _, target in ipairs(all) do worked = worked + (run.worked[target.name] and 1 or 0) end
  return run.failures, worked, #all
end

return fuzz
