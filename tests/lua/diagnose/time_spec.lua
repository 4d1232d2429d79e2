--- The detectors through time, fed with memories made up for the purpose.
local diagnose = require "sonde.diagnose"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local GROUPS = {
  hidden_jacobian = { probe = { "rnn.hidden_l0" }, layer = { "rnn" }, module = { "RNN" }, role = { "hidden_l0" } },
  activation_grad = { probe = { "rnn", "out" }, module = { "RNN", "Linear" }, depth = { 1, 2 } },
  activation = { probe = { "rnn", "out" }, module = { "RNN", "Linear" }, has_slope = {} },
  weight_grad = { probe = { "out.bias" }, layer = { "out" }, role = { "bias" }, depth = { 2 }, n_elements = { 1 } },
}

--- What is left after 0, 1, … steps, as a row has it: by time.
local function memory(length, factor)
  local norms = {}
  for k = 0, length - 1 do norms[length - k] = factor ^ k end
  return norms
end

--- The findings of rows 1..n: 32 samples, losses of squares, memory every tenth row. of(step): { factor =, loss =, std
--- = of the outputs }.
local function found_in(n, of, change)
  local diagnosis = diagnose.new(GROUPS)
  for step = 1, n do
    local now = of(step)
    local loss, std = now.loss or 1, now.std or 0.01
    local row = {
      step = step, metrics = { loss = loss },
      activation = { l2_norm = { 1, math.sqrt(32 * (1 + std ^ 2)) }, mean = { 0, 1 }, std = { 1, std },
                     sample_cosine = { 0, 1 } },
      activation_grad = { l2_norm = { 1, 2 * math.sqrt(loss / 32) } },
    }
    if step % 10 == 1 then row.hidden_jacobian = { l2_norm = { memory(now.length or 50, now.factor) },
                                                   length = now.length or 50 } end
    if change then change(row) end
    diagnosis:feed(row)
  end
  return diagnosis:findings(true)
end

local function names(findings)
  local list = {}
  for i, finding in ipairs(findings) do list[i] = finding.pathology end
  return list
end

local Reader = nn.Module:extend("Reader")
function Reader:init() self.rnn, self.out = nn.RNN(1, 16, { batch_first = true }), nn.Linear(16, 1) end
function Reader:forward(x) return self.out(self.rnn(x)[{ {}, -1 }]) end

describe("through time", function()
  it("a memory shorter than the sequence, with nothing learnt, is named with its numbers", function()
    local found = found_in(100, function(step) return { factor = 0.5, loss = 0.2 + 2 * 0.8 ^ step } end)
    assert.same({ "vanishing_through_time" }, names(found))
    local finding, evidence = found[1], found[1].evidence
    assert.equal(1, finding.since_step)
    assert.same({ "rnn" }, finding.layers)
    assert.near(math.log(0.5, 10), evidence.decades_per_step, 1e-9)
    assert.near(49 * math.log(0.5, 10), evidence.total_decades, 1e-9)
    assert.equal(10, evidence.memory_horizon) -- 0.5^9 = 0.00195, 0.5^10 = 0.00098
    assert.equal(50, evidence.length)
    assert.truthy(finding.cause:find("by 0.5, so that of 50 steps the last 10 count", 1, true), finding.cause)
    assert.same("lstm+forget_bias", finding.cures[1])
  end)

  it("is no fault where the outputs tell samples apart: a short memory is enough", function()
    assert.same({}, found_in(100, function(step) return { factor = 0.5, loss = 0.2 + 2 * 0.8 ^ step, std = 1 } end))
  end)

  it("is no fault where it reaches far enough, or one layer's does", function()
    assert.same({}, found_in(100, function(step) return { factor = 0.85, loss = 0.2 + 2 * 0.8 ^ step } end))
    local groups = GROUPS.hidden_jacobian
    GROUPS.hidden_jacobian = { probe = { "a", "b" }, layer = { "a", "b" }, module = { "RNN", "RNN" } }
    local function with(other)
      return names(found_in(100, function(step) return { factor = 0.5, loss = 0.2 + 2 * 0.8 ^ step } end, function(row)
        if row.hidden_jacobian then row.hidden_jacobian.l2_norm[2] = memory(50, other) end
      end))
    end
    assert.same({}, with(0.95))
    assert.same({ "vanishing_through_time" }, with(0.4))
    GROUPS.hidden_jacobian = groups
  end)

  it("a cell that remembers makes up for the state", function()
    local function with(cell)
      return names(found_in(100, function(step) return { factor = 0.5, loss = 0.2 + 2 * 0.8 ^ step } end, function(row)
        if row.hidden_jacobian then row.hidden_jacobian.cell_l2_norm = { memory(50, cell) } end
      end))
    end
    assert.same({}, with(0.95))
    assert.same({ "vanishing_through_time" }, with(0.5))
  end)

  it("a memory lost on the way counts if something was known, or after two thousand steps", function()
    local function lost_at(at, n, std)
      local found = found_in(n, function(step)
        return step < at and { factor = 0.95, std = std, loss = 0.2 + 2 * 0.8 ^ step } or { factor = 0.5, loss = 0.2 }
      end)
      return found[1] and found[1].pathology, found[1] and found[1].since_step
    end
    assert.same({ "vanishing_through_time", 101 }, { lost_at(100, 200, 1) })
    assert.is_nil(lost_at(100, 200, 0.01)) -- an LSTM on its plateau finds it again
    assert.same({ "vanishing_through_time", 101 }, { lost_at(100, 2200, 0.01) })
  end)

  it("steps too small to learn anything are named as that", function()
    local function still(row)
      row.weight, row.metrics.grad_norm = { update_ratio = { 1e-9 }, update_l2_norm = { 1e-9 }, l2_norm = { 1 } }, 1
      row.weight_grad = { l2_norm = { 1 } }
    end
    GROUPS.weight = { probe = { "out.bias" }, role = { "weight" }, module = { "Linear" } }
    assert.same({ "slow_progress" }, names(found_in(100, function() return { factor = 0.5 } end, still)))
    GROUPS.weight = nil
  end)

  it("what grows a hundredfold explodes, and what follows from that is not named", function()
    local found = found_in(100, function(step) return { factor = 1.2, loss = 2 - step / 100, std = 1 } end)
    assert.same({ "exploding_through_time" }, names(found))
    assert.near(math.log(1.2, 10), found[1].evidence.decades_per_step, 1e-9)
    assert.truthy(found[1].cause:find("by 1.2: after 49 steps it is up to 7584 times", 1, true), found[1].cause)
    assert.same({}, found_in(100, function(step) return { factor = 1.05, loss = 2 - step / 100, std = 1 } end))
    found = found_in(200, function(step)
      local ill = step >= 103
      return { factor = ill and 1.3 or 1, loss = ill and 1 or 2 - step / 100, std = 1 }
    end, function(row) row.metrics.grad_norm = row.step >= 103 and 1e6 or 1 end)
    assert.same({ "exploding_through_time" }, names(found))
    assert.equal(111, found[1].since_step)
    found = found_in(200, function(step) -- thrown out in the first steps
      return { factor = step == 1 and 1.3 or 0.3, loss = 0.2 + 2 * 0.5 ^ step }
    end)
    assert.same({ "exploding_through_time" }, names(found))
    assert.same({}, found_in(200, function(step)
      return { factor = step == 1 and 1.3 or 1, loss = 1 / step, std = 1 }
    end))
  end)

  it("underflow, overflow, rows without recurrence and short ones are borne", function()
    local function found(norms, length)
      return names(found_in(60, function(step) return { factor = 1, loss = 0.2 + 2 * 0.8 ^ step } end, function(row)
        if row.hidden_jacobian then row.hidden_jacobian = { l2_norm = { norms }, length = length or #norms } end
      end))
    end
    local nan = 0 / 0
    assert.same({ "vanishing_through_time" }, found { 0, 0, 0, 0, 0, 0, 1 })
    assert.same({ "exploding_through_time" }, found { math.huge, 1e30, 1e20, 1e5, 1 })
    local nothing = { { { nan, nan, nan } }, { { 1 } }, { { 1, 1 }, 4294967295 }, { { nan, 1 }, nan }, { {}, 0 } }
    for _, case in ipairs(nothing) do
      assert.same({}, found(case[1], case[2]))
    end
  end)

  it("what was not measured is said of networks that have a recurrence", function()
    local groups = { activation_grad = GROUPS.activation_grad, activation = GROUPS.activation, weight = GROUPS.weight }
    local note = diagnose.new(groups):notes(true)[1]
    assert.truthy(note:find("gradients through time (/hidden_jacobian)", 1, true), note)
    note = diagnose.new { activation = GROUPS.activation }:notes(true)[1]
    assert.is_nil(note:find("through time", 1, true), note)
  end)

  it("is told while the run goes, and drawn in the report", function()
    local dir <close> = process.tempdir()
    local heard = {}
    runs({ name = "forgets", run = function(_, run)
      local net = Reader()
      local opt = run:optimizer(optim.Adam(net:parameters(), { lr = 1e-3 }))
      run:probe(net)
      run:on("vanishing_through_time", function(finding) heard[#heard + 1] = { run.step, finding.since_step } end)
      for _ = 1, 120 do
        local x = sonde.randn(32, 60, 1)
        opt:zero_grad()
        local loss = ((net(x) - x[{ {}, 1 }]) ^ 2):mean()
        loss:backward()
        opt:step()
        run:log { loss = loss:item() }
      end
    end }, { out = dir / "o.h5" })
    assert.equal(1, #heard)
    assert.same({ 1 }, { heard[1][2] })
    local result = process.sonde { "diagnose", dir / "o.h5" }
    assert.truthy(result.stdout:find("vanishing_through_time", 1, true), result.stdout)
    assert.truthy(result.stdout:find("in /hidden_jacobian: -0.", 1, true), result.stdout)
    assert.truthy(result.stdout:find("\n *60 +1 +█"), result.stdout)
  end)
end)
