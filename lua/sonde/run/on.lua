-- run:on(pathology, fn): the detectors of sonde.diagnose, fed while the run goes.
local Live = require "sonde.diagnose.live"
local Run = require "sonde.run.object"
local diagnose = require "sonde.diagnose"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local Handle = {}
Handle.__index = Handle
function Handle:remove() self.listeners[self] = nil end

-- Calls fn(finding, run) at the end of the step in which the pathology begins: { pathology =, since_step =, layers =,
-- severity =, evidence =, cause =, cures = }. Once for each time it begins. Returns a handle with :remove(). What it is
-- judged by must be measured: run:probe(net).
function Run:on(pathology, fn)
  local known = false
  for _, name in ipairs(diagnose.pathologies) do known = known or name == pathology end
  if not known then fail("run:on: %s", suggest.unknown("pathology", tostring(pathology), diagnose.pathologies)) end
  if type(fn) ~= "function" then fail("run:on: expected a function as second argument, got %s", type(fn)) end
  self.listeners = self.listeners or { order = {} }
  local handle = setmetatable({ listeners = self.listeners, pathology = pathology, fn = fn }, Handle)
  self.listeners[handle] = true
  table.insert(self.listeners.order, handle)
  return handle
end

-- Judging costs more than listening to a row: where something began, and, for what ended or comes slowly, now and then.
local function is_time(step) return step <= 20 or step % 10 == 0 end

-- At the end of a step: feeds its row and tells who listens. loss: nil where none was logged.
function Run:judge(step, loss)
  if not self.listeners then return end
  if not self.live then
    self.live = Live.new(self.history)
    self.diagnosis, self.ill = diagnose.new(self.live.groups), {}
  end
  local row = self.live:row(step)
  row.nonfinite_loss = loss ~= nil and loss - loss ~= 0
  local news = self.diagnosis:feed(row)
  if not news and not is_time(step) then return end
  local ill = {}
  for _, finding in ipairs(self.diagnosis:findings()) do
    ill[finding.pathology] = true
    for _, handle in ipairs(self.ill[finding.pathology] and {} or self.listeners.order) do
      if handle.pathology == finding.pathology and self.listeners[handle] then handle.fn(finding, self) end
    end
  end
  self.ill = ill
end

return Run
