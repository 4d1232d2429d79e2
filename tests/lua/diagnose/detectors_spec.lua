--- The detectors, fed with rows made up for the purpose.
local diagnose = require "sonde.diagnose"

local nan = 0 / 0

--- Groups of a chain of `n` Linear layers h1..hn, out, each but the last followed by an activation a1..an.
local function layout(n, activation)
  local gradients = { probe = {}, module = {}, depth = {} }
  local activations = { probe = {}, module = {}, has_slope = {} }
  for i = 1, n + 1 do
    for _, entry in ipairs(i <= n and { { "h" .. i, "Linear" }, { "a" .. i, activation or "Sigmoid" } }
      or { { "out", "Linear" } }) do
      local p = #gradients.probe + 1
      gradients.probe[p], gradients.module[p], gradients.depth[p] = entry[1], entry[2], i
      activations.probe[p], activations.module[p], activations.has_slope[p] = entry[1], entry[2], entry[2] ~= "Linear"
    end
  end
  return { activation_grad = gradients, activation = activations }
end

--- Gradients that each activation multiplies by `factor`, with 1 at the output.
local function gradients(n, factor)
  local norms, norm = {}, 1
  for p = 2 * n + 1, 1, -1 do
    if p % 2 == 1 and p <= 2 * n then norm = norm * factor end -- below the activation above it
    norms[p] = norm
  end
  return norms
end

local function findings(groups, rows, thresholds)
  local diagnosis = diagnose.new(groups, thresholds)
  for step, row in ipairs(rows) do
    row.step = row.step or step
    diagnosis:feed(row)
  end
  return diagnosis:findings(true)
end

local function repeated(n, make)
  local rows = {}
  for step = 1, n do rows[step] = make(step) end
  return rows
end

describe("over depth", function()
  local function rows_of(n, factor)
    return repeated(5, function() return { activation_grad = { l2_norm = gradients(n, factor) } } end)
  end

  it("a gradient that every activation divides by four vanishes, and the activation is named", function()
    local found = findings(layout(10), rows_of(10, 0.25))
    assert.equal(1, #found)
    local finding, evidence = found[1], found[1].evidence
    assert.equal("vanishing_gradient", finding.pathology)
    assert.near(math.log(0.25, 10), evidence.decades_per_layer, 1e-9)
    assert.near(9 * math.log(0.25, 10), evidence.total_decades, 1e-9)
    assert.near(evidence.total_decades, evidence.activation_decades, 1e-9)
    assert.equal(0, evidence.weight_decades)
    assert.near(1, evidence.r2, 1e-9)
    assert.same({ "h1", "h2", "h3", "h4", "h5", "h6" }, finding.layers) -- two decades and more below h10
    assert.equal(1, finding.since_step)
    assert.truthy(finding.cause:find("Sigmoid", 1, true), finding.cause)
  end)

  it("one that grows explodes; one that changes little does neither", function()
    assert.equal("exploding_gradient", findings(layout(10), rows_of(10, 2))[1].pathology)
    assert.same({}, findings(layout(10), rows_of(10, 0.7)))
    assert.same({}, findings(layout(10), rows_of(10, 1.2)))
    assert.same({}, findings(layout(1), rows_of(1, 1e-9))) -- one layer has no depth
  end)

  it("a loss in one place is found and that place named", function()
    local norms = gradients(9, 1)
    for p = 1, 9 do norms[p] = norms[p] * 1e-4 end -- everything up to h5
    local found = findings(layout(9), repeated(5, function() return { activation_grad = { l2_norm = norms } } end))
    assert.equal("a5", found[1].evidence.worst_layer)
    assert.near(-4, found[1].evidence.worst_drop, 1e-9)
    assert.truthy(found[1].cause:find("'a5'", 1, true), found[1].cause)
    assert.same({ "h1", "h2", "h3", "h4", "h5" }, found[1].layers)
  end)

  it("gradients that underflow to zero from below have vanished; a branch that starts at zero has not", function()
    local norms = gradients(10, 0.25)
    for p = 1, 6 do norms[p] = 0 end
    assert.equal("vanishing_gradient",
      findings(layout(10), repeated(5, function() return { activation_grad = { l2_norm = norms } } end))[1].pathology)
    local branch = gradients(10, 1)
    for p = 3, 18 do branch[p] = 0 end
    assert.same({}, findings(layout(10), repeated(5, function() return { activation_grad = { l2_norm = branch } } end)))
  end)

  it("what ends in exactly zero is lost to underflow, to units without a slope, or to weights of zero", function()
    local function ending(norms)
      local found = findings(layout(10), repeated(5, function() return { activation_grad = { l2_norm = norms } } end))
      assert.equal("vanishing_gradient", found[1].pathology)
      return found[1]
    end
    local underflow = gradients(10, 1e-6)
    for p = 1, 6 do underflow[p] = 0 end -- h1..a3
    local finding = ending(underflow)
    assert.near(-36, finding.evidence.total_decades, 1e-9) -- of h4 below h10: more was lost, nobody knows how much
    assert.near(-6, finding.evidence.decades_per_layer, 1e-9)
    assert.equal("h3", finding.evidence.zero_below)
    assert.truthy(finding.cause:find("each Sigmoid multiplies the gradient by 1.0e-06", 1, true), finding.cause)
    assert.truthy(finding.cause:find("1.0e-42 reaches 'h4' (Linear) and exactly zero leaves it: smaller", 1, true)
      and finding.cause:find("at least", 1, true), finding.cause)
    local flat = gradients(10, 1)
    for p = 1, 5 do flat[p] = 0 end -- h1..h3: a3 gives nothing on
    finding = ending(flat)
    assert.truthy(finding.cause:find("1 reaches 'a3' (Sigmoid) and exactly zero leaves it: its slope", 1, true),
      finding.cause)
    assert.is_nil(finding.cause:find("at least", 1, true))
    assert.near(0, finding.evidence.total_decades, 1e-9)
  end)

  it("activations are known by name where /activation was not measured; what is not known is said", function()
    local groups = layout(10)
    groups.activation = nil
    local found = findings(groups, rows_of(10, 0.25))
    assert.near(found[1].evidence.total_decades, found[1].evidence.activation_decades, 1e-9)
    assert.truthy(found[1].cause:find("each Sigmoid multiplies the gradient by 0.25", 1, true), found[1].cause)
    groups = layout(10, "MyOwn")
    groups.activation = nil
    found = findings(groups, rows_of(10, 0.25))
    assert.equal(0, found[1].evidence.weight_decades)
    assert.truthy(found[1].cause:find("were not measured", 1, true), found[1].cause)
  end)

  it("a gradient that vanished at the start counts if that delayed a tenth of the run", function()
    local function healed_after(n)
      return repeated(100, function(step)
        return { activation_grad = { l2_norm = gradients(10, step <= n and 0.25 or 1) } }
      end)
    end
    assert.equal("vanishing_gradient", findings(layout(10), healed_after(12))[1].pathology)
    assert.same({}, findings(layout(10), healed_after(6)))
  end)

  it("an explosion of the first step is named if something came of it", function()
    local function rows_with(saturated)
      return repeated(40, function(step)
        local values = { slope_rms = {}, saturated_frac = {}, dead_frac = {}, idle_frac = {}, sample_cosine = {} }
        for p = 1, 21 do
          for _, list in next, values do list[p] = nan end
          if p % 2 == 0 then values.saturated_frac[p], values.slope_rms[p] = step > 1 and saturated or 0, 0.3 end
        end
        return { activation = values, activation_grad = { l2_norm = gradients(10, step == 1 and 3 or 1) } }
      end)
    end
    local found = findings(layout(10, "Tanh"), rows_with(0.9))
    local there = { [found[1].pathology] = found[1], [found[2].pathology] = found[2] }
    assert.equal(1, there.exploding_gradient.since_step)
    assert.equal(2, there.saturated_units.since_step)
    assert.same({}, findings(layout(10, "Tanh"), rows_with(0.1)))
  end)

  it("lines can be drawn elsewhere", function()
    assert.same({}, findings(layout(10), rows_of(10, 0.25), { vanishing_decades = 9 }))
    assert.has_error(function() diagnose.new(layout(3), { vanishing_decade = 9 }) end)
    assert.has_error(function() diagnose.new(layout(3), { vanishing_decades = "9" }) end)
  end)
end)

describe("numbers", function()
  local groups = { weight_grad = { probe = { "h1.weight", "out.weight" } } }
  local function row(loss, norm, bad)
    return { metrics = { loss = loss, grad_norm = norm },
             weight_grad = { l2_norm = { norm, 0 }, n_nonfinite = { 0, bad } } }
  end

  it("that outgrow their own past explode; the first that is not finite is named", function()
    local rows = repeated(20, function(step)
      local norm = step < 15 and 1 or 10.0 ^ (3 * (step - 14))
      return row(norm, norm, step >= 19 and 3 or 0)
    end)
    local found = findings(groups, rows)
    assert.equal(2, #found)
    local there = { [found[1].pathology] = found[1], [found[2].pathology] = found[2] }
    assert.equal(15, there.exploding_gradient.since_step)
    assert.equal(19, there.numeric_overflow.since_step)
    assert.same({ "out.weight" }, there.numeric_overflow.layers)
  end)

  it("do not explode because the first batch happened to fit", function()
    assert.same({}, findings(groups, repeated(60, function(step) return row(100 - step, step == 1 and 1e-9 or 1) end)))
  end)

  it("that are not finite in a weight before the step come from it", function()
    local named = { probe = { "h1.weight", "h2.weight", "out.weight" }, layer = { "h1", "h2", "out" },
                    role = { "weight", "weight", "weight" }, module = { "Linear", "Linear", "Linear" } }
    local function overflow(norms)
      local counts = { 4294967295, 1, 1 } -- h1 is frozen
      return findings({ weight_grad = named, weight = named }, { {
        weight = { l2_norm = norms }, weight_grad = { l2_norm = { nan, nan, nan }, n_nonfinite = counts },
      } })[1]
    end
    local finding = overflow { nan, nan, 1 }
    assert.same({ "h2" }, finding.layers)
    assert.truthy(finding.cause:find("in a weight before the step", 1, true), finding.cause)
    finding = overflow { nan, 1, 1 }
    assert.same({ "out.weight" }, finding.layers)
    assert.truthy(finding.cause:find("the forward pass was not measured", 1, true), finding.cause)
  end)

  it("of a loss that a large step threw up have exploded, whatever the gradient did", function()
    local named = { probe = { "h1.weight" }, layer = { "h1" }, role = { "weight" }, module = { "Linear" } }
    local function thrown(loss_at, ratio)
      return findings({ weight = named }, repeated(60, function(step)
        return { metrics = { loss = loss_at(step), grad_norm = 1 },
                 weight = { update_ratio = { step == 1 and ratio or 1e-4 } } }
      end))
    end
    local found = thrown(function(step) return step == 1 and 1 or 1e24 / step end, 43)
    assert.equal(1, #found)
    assert.equal("exploding_gradient", found[1].pathology)
    assert.equal(2, found[1].since_step)
    assert.truthy(found[1].cause:find("43 of its own size", 1, true), found[1].cause)
    assert.same({}, thrown(function(step) return step == 1 and 1 or 20 - step / 4 end, 1e-3)) -- a lucky first batch
    assert.same({}, thrown(function(step) return step > 1 and step < 7 and 20 or 1 / step end, 1)) -- found back
    assert.equal("exploding_gradient",
      thrown(function(step) return step > 1 and step < 7 and 20 or 1 end, 1)[1].pathology) -- but nowhere
  end)

  it("may rise back to where they began, spike once, or not be logged at every step", function()
    assert.same({}, findings(groups, repeated(60, function(step)
      return row(1, step < 10 and 1 or step < 40 and 1e-5 or 1, 0)
    end)) and findings({}, repeated(60, function(step) return { metrics = { loss = 60 - step, grad_norm = 1 } } end)))
    assert.same({}, findings({}, repeated(60, function(step)
      return { metrics = { loss = step % 2 == 0 and nan or 100 - step, grad_norm = step == 30 and 1e4 or 1 } }
    end)))
  end)
end)

describe("progress", function()
  local function run(loss_at, norm_at)
    return findings({}, repeated(100, function(step)
      return { metrics = { loss = loss_at(step), grad_norm = norm_at and norm_at(step) or 1 } }
    end))
  end

  it("is missing where the loss stands still with the gradient it began with", function()
    assert.equal("slow_progress", run(function() return 2.3 end)[1].pathology)
    assert.equal("slow_progress", run(function(s) return 2.3 + 0.2 * math.sin(s * s) end)[1].pathology)
  end)

  it("is the fault of steps too small or too large, not of targets that say nothing", function()
    local named = { probe = { "h1.weight" }, role = { "weight" }, module = { "Linear" } }
    local function standing(norm, update, ratio, last)
      local diagnosis = diagnose.new { weight = named, weight_grad = named }
      for step = 1, 100 do
        diagnosis:feed { step = step, metrics = { loss = step < 50 and 2 or last or 2, grad_norm = norm },
          weight_grad = { l2_norm = { norm } }, weight = { update_ratio = { ratio }, update_l2_norm = { update } } }
      end
      local found = diagnosis:findings(true)
      return found[1] and found[1].pathology or "none", #diagnosis:notes(true)
    end
    local unmeasured = 1 -- the note that says which groups are missing
    local name, notes = standing(0.1, 1e-4, 1e-5) -- 100 steps of 0.1 * 1e-4: a loss of 2 could change by 1e-3
    assert.equal("slow_progress", name)
    assert.equal(unmeasured, notes)
    name, notes = standing(0.1, 1e-1, 1e-2) -- by 1
    assert.equal("none", name)
    assert.equal(unmeasured + 1, notes)
    assert.equal("slow_progress", (standing(0.1, 1, 0.2))) -- a fifth of the weights at every step
    assert.equal("slow_progress", (standing(0.1, 0.1, 1e-2, 2.5))) -- and it got worse
  end)

  it("is not expected of outputs that fit the targets", function()
    local groups = layout(2)
    local function standing_still(output, gradient)
      return findings(groups, repeated(100, function()
        return { metrics = { loss = 1e-3, grad_norm = 1 }, activation = { l2_norm = { 1, 1, 1, 1, output } },
                 activation_grad = { l2_norm = { 1, 1, 1, 1, gradient } } }
      end))
    end
    assert.same({}, standing_still(100, 1e-3))
    assert.equal("slow_progress", standing_still(1, 1e-3)[1].pathology)
  end)

  it("is there where the loss has fallen, falls at last, or has nothing left to fall", function()
    assert.same({}, run(function(s) return math.exp(-s / 20) end))
    assert.same({}, run(function(s) return s < 60 and 2.3 or 2.3 - (s - 60) / 40 end))
    assert.same({}, run(function() return 1e-5 end, function(s) return 10.0 ^ (-s / 20) end))
    assert.same({}, findings({}, repeated(5, function() return { metrics = { loss = 1, grad_norm = 1 } } end)))
  end)
end)

describe("units and updates", function()
  local groups = layout(3, "ReLU")

  local function activation_rows(dead, saturated)
    return repeated(30, function(step)
      local values = { slope_rms = {}, saturated_frac = {}, dead_frac = {}, idle_frac = {}, sample_cosine = {} }
      for p = 1, 7 do
        local is_activation = p % 2 == 0
        values.slope_rms[p] = is_activation and 0.5 or nan
        values.saturated_frac[p] = is_activation and saturated and saturated(p, step) or nan
        values.idle_frac[p] = is_activation and dead(p, step) or nan
        values.dead_frac[p] = is_activation and step > 10 and dead(p, step) or nan
        values.sample_cosine[p] = 0.5
      end
      return { activation = values }
    end)
  end

  it("dead units are named from where the batches began to say so", function()
    local found = findings(groups, activation_rows(function(p, step) return p == 4 and step >= 8 and 0.9 or 0.1 end))
    assert.equal(1, #found)
    assert.equal("dead_units", found[1].pathology)
    assert.same({ "a2" }, found[1].layers)
    assert.equal(8, found[1].since_step)
    assert.equal(0.9, found[1].evidence.dead_frac)
    assert.same({}, findings(groups, activation_rows(function() return 0.45 end)))
  end)

  it("more dead units are never less ill, however alike the few others answer", function()
    local function named(share, before)
      local rows = activation_rows(function(p) return p == 4 and share or 0 end)
      for _, row in ipairs(rows) do
        row.activation.sample_cosine[2], row.activation.sample_cosine[4] = before, 0.5 + share / 2
      end
      return #findings(groups, rows) > 0
    end
    for _, before in ipairs { 0.3, 0.95 } do -- can the layer before tell samples apart?
      local was = false
      for eighth = 0, 8 do
        local is = named(eighth / 8, before)
        assert.is_true(is or not was)
        was = is
      end
      assert.is_true(was)
    end
    assert.is_true(named(6 / 8, 0.3))
    assert.is_false(named(6 / 8, 0.95))
  end)

  it("a bounded activation is saturated, not dead", function()
    local found = findings(groups, activation_rows(function() return 1 end,
      function(p) return p == 2 and 0.8 or 0.1 end))
    assert.equal(1, #found)
    assert.equal("saturated_units", found[1].pathology)
    assert.same({ "a1" }, found[1].layers)
  end)

  it("half of a layer may be flat by design, or come to be so at work", function()
    local function is_half_flat(share, slope)
      local rows = activation_rows(function() return nan end, function(p, step)
        return p == 4 and (share == "design" and 0.6 or step > 10 and share) or 0.1
      end)
      for step, row in ipairs(rows) do
        row.metrics = { loss = 100 - step, grad_norm = 1 }
        for p = 2, 6, 2 do row.activation.slope_rms[p] = slope end
      end
      local found = findings(groups, rows)
      return #found > 0 and found[1].pathology
    end
    assert.equal("saturated_units", is_half_flat("design", 0.4)) -- since the start
    assert.is_false(is_half_flat("design", 0.7)) -- ReLU6
    assert.is_false(is_half_flat(0.6, 0.4))
    assert.equal("saturated_units", is_half_flat(0.8, 0.4))
  end)

  it("a layer that sinks to one end and answers all samples alike is saturated with no unit at the end", function()
    local function sinking(cosine)
      local rows = activation_rows(function() return nan end, function() return 0 end)
      for step, row in ipairs(rows) do
        row.metrics = { loss = 100 - step, grad_norm = 1 }
        for p = 2, 6, 2 do
          row.activation.slope_rms[p] = p == 6 and math.max(0.3, 1 - step / 20) or 1
          row.activation.sample_cosine[p] = cosine
        end
      end
      return findings(groups, rows)
    end
    local found = sinking(0.99)
    assert.equal("saturated_units", found[1].pathology)
    assert.same({ "a3" }, found[1].layers)
    assert.equal(12, found[1].since_step)
    assert.same({}, sinking(0.5))
  end)

  it("a matrix that moves far less than the others is named; gains and biases are not compared", function()
    local weights = {
      weight = {
        probe = { "h1.weight", "n1.weight", "h2.weight", "h2.bias", "h3.weight" },
        module = { "Linear", "BatchNorm1d", "Linear", "Linear", "Linear" },
        role = { "weight", "weight", "weight", "bias", "weight" },
      },
    }
    local function rows(ratios) return repeated(10, function() return { weight = { update_ratio = ratios } } end) end
    local found = findings(weights, rows { 1e-3, 1e-9, 1e-6, 10, 2e-3 })
    assert.equal("unbalanced_updates", found[1].pathology)
    assert.same({ "h2.weight" }, found[1].layers)
    assert.near(-3, found[1].evidence.decades_from_the_middle, 1e-9)
    assert.same({}, findings(weights, rows { 1e-3, 1e-9, 1e-4, 10, 2e-3 }))
    -- One that rounding keeps still has a gradient; one behind a branch that starts at zero has none at first.
    weights.weight_grad = weights.weight
    local function still_one(gradient_at)
      return repeated(10, function(step)
        return { weight = { update_ratio = { 1e-3, 1, 0, 1, 2e-3, 1e-3 } },
                 weight_grad = { l2_norm = { 1, 1, gradient_at(step), 1, 1, 1 } } }
      end)
    end
    assert.same({ "h2.weight" }, findings(weights, still_one(function() return 1 end))[1].layers)
    assert.same({}, findings(weights, still_one(function(step) return step == 1 and 0 or 1 end)))
  end)
end)

describe("a loss that is not finite, with gradients that are", function()
  it("is an overflow, and its cures fit the operator that made it", function()
    local function finding(origin)
      local diagnosis = require "sonde.diagnose".new {}
      diagnosis:feed { step = 1, metrics = { loss = 0 / 0, grad_norm = 1.0 }, nonfinite_loss = true, origin = origin }
      local found = diagnosis:findings(true)
      assert.equal(1, #found)
      assert.equal("numeric_overflow", found[1].pathology)
      assert.equal(1, found[1].since_step)
      return found[1]
    end
    local traced = finding "the operator 'log' made it in the forward pass, reading numbers from -1 to 2"
    assert.same({ "stable_loss", "lower_lr" }, traced.cures)
    assert.matches("the operator 'log' made it", traced.cause, 1, true)
    local read = finding "the operator 'linear' read it: the data, or a constant, held it already"
    assert.same({ "clean_data" }, read.cures)
    assert.same("lower_lr", finding(nil).cures[1])
  end)

  it("is none where no loss was logged", function()
    local diagnosis = require "sonde.diagnose".new {}
    for step = 1, 5 do diagnosis:feed { step = step, metrics = { loss = 0 / 0, grad_norm = 1.0 } } end
    assert.same({}, diagnosis:findings(true))
  end)
end)
