-- run:batches: batches of a data set in the order that the run's data stream draws; epoch, progress and the probes'
-- last step follow from it.
local Run = require "sonde.run.object"
local batches = require "sonde.data.batches"
local suggest = require "sonde.suggest"

local names = { "batch_size", "drop_last", "epochs", "shuffle", "steps" }

-- for x, y in run:batches(dataset, { batch_size =, steps = | epochs = 1, shuffle = true, drop_last = false })
function Run:batches(dataset, options)
  local plan = { generator = self.data_stream, after = self.step }
  for name, value in next, suggest.check_options("run:batches", options, names) do plan[name] = value end
  local draw = batches(dataset, plan)
  local n, size = #dataset, plan.batch_size
  local per_epoch = plan.drop_last and n // size or (n + size - 1) // size
  local total = plan.steps or per_epoch * (plan.epochs or 1)
  local before = self.epoch == self.epoch and self.epoch or 0
  local drawn = 0
  self.progress:expect(self.step + total)
  local function expect_end(step)
    if self.probes then self.cadence:expect_end(step) end
    self.measures:expect_end(step)
  end
  expect_end(self.step + total)
  return function()
    self:check_end()
    local x, y = draw()
    if x == nil then
      self.batch = {}
      return nil
    end
    drawn = drawn + 1
    self.batch = { x, y }
    if drawn == total then expect_end(self.step + 1) end
    local in_epoch = drawn % per_epoch
    self.epoch = before + drawn // per_epoch + math.min(1, in_epoch * size / n)
    return x, y
  end
end

return Run
