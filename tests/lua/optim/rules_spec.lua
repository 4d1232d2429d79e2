--- What every update rule owes: its state in checkpoints, statistics for probes, both dtypes, checked options; and the
--- formulas of those that PyTorch 1.13 does not have (Lion, Muon).
local sonde = require "sonde"
local expect = require "support.expect"
local reference = require "support.reference"
local nn, optim = sonde.nn, sonde.optim

local f64 = { dtype = "float64" }
local rules = {
  SGD = { lr = 0.1, momentum = 0.9 }, Adam = { lr = 0.1, amsgrad = true }, AdamW = { lr = 0.1 }, RMSprop = {
    momentum = 0.5 },
  Adamax = {}, NAdam = { weight_decay = 0.1, decoupled_weight_decay = true }, RAdam = { lr = 0.1 }, Adagrad = {
    lr_decay = 0.1 },
  Adadelta = {}, Rprop = {}, ASGD = { t0 = 1 }, Lion = { weight_decay = 0.1 }, Muon = { lr = 0.1 },
  LBFGS = { max_iter = 2, line_search_fn = "strong_wolfe" },
}
local names = {}
for name in pairs(rules) do names[#names + 1] = name end
table.sort(names)

local function net_of(dtype)
  sonde.manual_seed(1)
  return nn.Sequential { nn.Linear(3, 4, { bias = false }), nn.Tanh(), nn.Linear(4, 2, { bias = false }) }:to(dtype)
end

local function train(net, opt, from, to)
  for i = from, to do
    opt:step(function()
      opt:zero_grad()
      local x = sonde.arange(12):to(net[1].weight.dtype):reshape(4, 3) * 0.1 + 0.05 * i
      local loss = ((net(x) - x:narrow(2, 1, 2)) ^ 2):mean()
      loss:backward()
      return loss
    end)
  end
end

describe("every rule", function()
  it("is known to this spec", function()
    local _, message = pcall(optim.new, "none")
    for name in message:match("there are (.*)"):gmatch("%w+") do assert.truthy(rules[name], name) end
  end)

  for _, name in ipairs(names) do
    for _, dtype in ipairs { "float32", "float64" } do
      it(("%s lowers a loss and goes on from its state bit for bit, in %s"):format(name, dtype), function()
        local a = net_of(dtype)
        local opt_a = optim[name](a:parameters(), rules[name])
        train(a, opt_a, 1, 4)
        local b = net_of(dtype)
        local opt_b = optim[name](b:parameters())
        b:load_state_dict(a:state_dict())
        opt_b:load_state_dict(opt_a:state_dict())
        train(a, opt_a, 5, 7)
        train(b, opt_b, 5, 7)
        assert.is_true(a[1].weight:equal(b[1].weight) and a[3].weight:equal(b[3].weight))
        assert.is_false(a[1].weight:equal(net_of(dtype)[1].weight))
      end)
    end

    it(name .. " tells probes its update, and changes no bit for it", function()
      local plain, seen = net_of "float64", net_of "float64"
      local opt_plain = optim[name](plain:parameters(), rules[name])
      local opt = optim[name](seen:parameters(), rules[name])
      local probe <close> = sonde.probe.attach(seen, { optimizer = opt, what = { "weight" } })
      for i = 1, 3 do
        local before = seen[1].weight:detach():clone()
        train(seen, opt, i, i)
        probe:step()
        local cell, norm = probe:last().weight["1.weight"], before:norm():item()
        local ratio = (seen[1].weight:detach() - before):norm():item() / norm
        assert.is_true(math.abs(cell.l2_norm - norm) <= 1e-12 * norm)
        assert.is_true(ratio > 0 and math.abs(cell.update_ratio - ratio) <= 1e-12 * ratio)
        assert.equal(0.0, cell.unchanged_frac)
      end
      train(plain, opt_plain, 1, 3)
      assert.is_true(plain[1].weight:equal(seen[1].weight))
    end)
  end
end)

describe("Lion", function()
  it("moves by the sign of its interpolated momentum (Chen et al. 2023, algorithm 2)", function()
    local p = sonde.tensor({ 1, -2, 0.5, 0 }, f64):requires_grad_()
    local opt = optim.Lion({ p }, { lr = 0.01, betas = { 0.8, 0.95 }, weight_decay = 0.1 })
    local w, m = p:detach():clone(), sonde.zeros(4, f64)
    for i = 1, 5 do
      local g = sonde.tensor({ i - 3, 1, -i, 0 }, f64)
      p.grad = g:clone()
      opt:step()
      local c = m * 0.8 + g * 0.2
      w = w * (1 - 0.01 * 0.1) - c:sign() * 0.01
      m = m * 0.95 + g * 0.05
      reference.near("step " .. i, w, p)
    end
  end)
end)

describe("Muon", function()
  -- Newton-Schulz from the formulas, with the tall form transposed.
  local function orthogonal(u, steps)
    local tall = u:size(1) > u:size(2)
    local x = tall and u:t() or u
    x = x / x:norm()
    for _ = 1, steps do
      local a = x:matmul(x:t())
      x = x * 3.4445 + (a * -4.775 + a:matmul(a) * 2.0315):matmul(x)
    end
    return tall and x:t() or x
  end

  for _, shape in ipairs { { 3, 5 }, { 5, 3 }, { 4, 4 }, { 1, 3 } } do
    it(("follows its formula for [%d, %d]"):format(shape[1], shape[2]), function()
      sonde.manual_seed(2)
      for _, options in ipairs { {}, { nesterov = false, adjust_lr_fn = "match_rms_adamw", ns_steps = 3 } } do
        local p = sonde.randn(shape, f64):requires_grad_()
        local opt = optim.Muon({ p }, options)
        local w, b = p:detach():clone(), sonde.zeros(shape, f64)
        local scale = options.adjust_lr_fn and 0.2 * math.sqrt(math.max(shape[1], shape[2]))
          or math.sqrt(math.max(1, shape[1] / shape[2]))
        for i = 1, 3 do
          local g = sonde.randn(shape, f64)
          p.grad = g:clone()
          opt:step()
          b = b * 0.95 + g * 0.05
          local u = options.nesterov == false and b or g * 0.05 + b * 0.95
          w = w * (1 - 1e-3 * 0.1) - orthogonal(u, options.ns_steps or 5) * (1e-3 * scale)
          reference.near("step " .. i, w, p)
        end
      end
    end)
  end

  it("makes the update nearly orthogonal whatever the gradient's scale, and takes matrices only", function()
    sonde.manual_seed(3)
    for _, size in ipairs { 1e-20, 1, 1e20 } do
      local p = sonde.zeros(6, 10):requires_grad_()
      p.grad = sonde.randn(6, 10) * size
      optim.Muon({ p }, { lr = 1, weight_decay = 0, eps = 0 }):step()
      local gram = p:detach():matmul(p:detach():t())
      for i = 1, 6 do assert.is_true(gram[i][i]:item() > 0.3 and gram[i][i]:item() < 1.6) end
    end
    local p = sonde.zeros(2, 2):requires_grad_()
    p.grad = sonde.zeros(2, 2)
    optim.Muon({ p }, { eps = 0 }):step()
    assert.is_true(p:equal(sonde.zeros(2, 2)))
    expect.error("Muon: parameter 2: only a matrix [rows, columns] can be made orthogonal, got [4]",
      function() optim.Muon(nn.Linear(3, 4):parameters()) end)
  end)
end)

describe("options", function()
  local p = { nn.Parameter(sonde.ones(2, 2)) }

  it("have PyTorch's defaults and order", function()
    local function group(name, ...) return optim[name](p, ...).param_groups[1] end
    assert.equal(2e-3, group("Adamax").lr)
    assert.equal(4e-3, group("NAdam").momentum_decay)
    assert.equal(0.5, group("NAdam", 1, { 0.9, 0.99 }, 1e-8, 0, 0.5).momentum_decay)
    assert.is_true(group("RAdam", 1, { 0.9, 0.99 }, 1e-8, 0, true).decoupled_weight_decay)
    assert.equal(1e-10, group("Adagrad").eps)
    assert.equal(0.25, group("Adagrad", 1, 0, 0, 0.25).initial_accumulator_value)
    assert.same({ 1.0, 0.9, 1e-6 }, { group("Adadelta").lr, group("Adadelta").rho, group("Adadelta").eps })
    assert.same({ { 0.5, 1.2 }, { 1e-6, 50.0 } }, { group("Rprop").etas, group("Rprop").step_sizes })
    assert.same({ 1e-4, 0.75, 1e6 }, { group("ASGD").lambd, group("ASGD").alpha, group("ASGD").t0 })
    assert.same({ 1e-4, { 0.9, 0.99 } }, { group("Lion").lr, group("Lion").betas })
    local muon, lbfgs = group "Muon", group "LBFGS"
    assert.same({ 1e-3, 0.1, 0.95, true, 5.0 }, { muon.lr, muon.weight_decay, muon.momentum, muon.nesterov,
      muon.ns_steps })
    assert.same({ { 3.4445, -4.775, 2.0315 }, "original" }, { muon.ns_coefficients, muon.adjust_lr_fn })
    assert.same({ 1.0, 20.0, 1e-7, 1e-9, 100.0, "none" }, { lbfgs.lr, lbfgs.max_iter, lbfgs.tolerance_grad,
      lbfgs.tolerance_change, lbfgs.history_size, lbfgs.line_search_fn })
    muon.adjust_lr_fn, muon.ns_coefficients = "match_rms_adamw", { 2, -1.5, 0.5 }
    assert.same({ { 2.0, -1.5, 0.5 }, "match_rms_adamw" }, { muon.ns_coefficients, muon.adjust_lr_fn })
  end)

  it("are checked", function()
    for _, case in ipairs {
      { "Adamax", { betas = { 0.9, 1 } }, "Adamax: beta2 must be at least 0 and below 1, got 1" },
      { "NAdam", { momentum_decay = -1 }, "NAdam: momentum_decay must be at least 0, got -1" },
      { "RAdam", { eps = 0 / 0 }, "RAdam: eps must be at least 0" },
      { "Adagrad", { lr_decay = -1 }, "Adagrad: lr_decay must be at least 0, got -1" },
      { "Adadelta", { rho = 2 }, "Adadelta: rho must be at least 0 and below 1, got 2" },
      { "Rprop", { etas = { 1.2, 0.5 } }, "Rprop: etas must be one factor between 0 and 1 and one above 1" },
      { "Rprop", { step_sizes = { 2, 1 } }, "Rprop: step_sizes must be a smallest and a largest step, got 2 and 1" },
      { "Rprop", { etas = 1 }, "bad argument 'etas' to optim.Rprop: expected two numbers, got number" },
      { "ASGD", { alpha = math.huge }, "ASGD: alpha must be at least 0, got inf" },
      { "Lion", { eps = 1 }, "optim.Lion: unknown option 'eps'" },
      { "Muon", { ns_coefficients = { 1, 2 } }, "expected three numbers, got table" },
      { "Muon", { ns_steps = 2.5 }, "Muon: ns_steps must be a whole number of at least 0, got 2.5" },
      { "Muon", { ns_steps = 1e6 }, "Muon: ns_steps must be below 100" },
      { "Muon", { adjust_lr_fn = "rms" }, "unknown choice 'rms'" },
      { "LBFGS", { line_search_fn = "armijo" }, "unknown choice 'armijo'; there are: none, strong_wolfe" },
      { "LBFGS", { max_iter = 0 }, "LBFGS: max_iter must be a whole number of at least 1, got 0" },
      { "LBFGS", { history_size = -1 }, "LBFGS: history_size must be a whole number of at least 1, got -1" },
    } do
      expect.error(case[3], function() optim[case[1]](p, case[2]) end)
    end
  end)
end)
