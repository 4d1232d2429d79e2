--- LBFGS against PyTorch 1.13 (float64): Rosenbrock's valley and two more parameters, four steps of each setting.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local optim = sonde.optim

local function problem(options, dtype)
  local p = sonde.tensor({ -1.2, 1 }, { dtype = dtype or "float64" }):requires_grad_()
  local q = sonde.tensor({ { 0.5 }, { 0.25 } }, { dtype = dtype or "float64" }):requires_grad_()
  local self = { p = p, q = q, opt = optim.LBFGS({ p, q }, options), calls = 0 }
  function self.closure()
    self.calls = self.calls + 1
    self.opt:zero_grad()
    local loss = (p[2] - p[1] ^ 2) ^ 2 * 100 + (1 - p[1]) ^ 2 + ((q * q):sum() - p[1]) ^ 2
    loss:backward()
    return loss
  end
  return self
end

-- Loss at the start of a step, evaluations in it, and the parameters after it.
local reference = {
  { { max_iter = 5, line_search_fn = "strong_wolfe" },
    { 26.487656249999997, 6, -1.0234773316870713, 1.0420138047058467, 0.47419141193396214, 0.23709570596698107 },
    { 5.799325383186657, 6, -0.694528447782285, 0.4540484167907699, -0.1581411309599344, -0.0790705654799672 },
    { 3.478406526539919, 7, 0.03532772366161395, 0.0006745772669755728, -0.37932775571367944, -0.18966387785683972 },
    { 0.9515156252274248, 6, 0.3964563767603755, 0.1413065044248901, -0.1279515441887798, -0.0639757720943899 } },
  { { lr = 0.1, max_iter = 4 },
    { 26.487656249999997, 4, -1.105410659845685, 1.038905976581234, 0.4975307315231301, 0.24876536576156505 },
    { 9.784381907438672, 4, -1.0805471228635646, 1.049135301472591, 0.4933901988536663, 0.24669509942683315 },
    { 7.649420771250992, 4, -1.062274367300498, 1.0544484865436474, 0.48742275352954567, 0.24371137676477284 },
    { 6.64781715612474, 4, -1.0481511211519796, 1.0554731248409046, 0.4800288451927185, 0.24001442259635924 } },
  { { lr = 0.1, max_iter = 6, history_size = 2 },
    { 26.487656249999997, 6, -1.091972485369267, 1.0446575459816565, 0.4957225689270258, 0.2478612844635129 },
    { 8.516864364926104, 6, -1.0622628844509792, 1.05443285328163, 0.4872680206635562, 0.2436340103317781 },
    { 6.647096485285056, 6, -1.0414560522378007, 1.0536235203480204, 0.4736275432252168, 0.2368137716126084 },
    { 6.011000887451318, 6, -1.0119979344043766, 1.023608492841752, 0.42696300890101146, 0.21348150445050573 } },
  { { max_iter = 6, history_size = 2, line_search_fn = "strong_wolfe" },
    { 26.487656249999997, 7, -1.004534747468499, 0.9846169264271334, 0.4207900543417123, 0.21039502717085615 },
    { 5.580798181005768, 8, -0.07094691082718753, 0.008960182049565071, -0.6338633125705436, -0.3169316562852718 },
    { 1.4769991040348809, 7, 0.31403787328051425, 0.11744397523488859, -0.5990041433107851, -0.29950207165539255 },
    { 0.5240611181843451, 7, 0.5528303279314369, 0.3044024612685713, -0.49602419436318024, -0.24801209718159012 } },
}

describe("LBFGS", function()
  for number, case in ipairs(reference) do
    it("equals PyTorch's, setting " .. number, function()
      local run = problem(case[1])
      for step = 2, 5 do
        local expected = case[step]
        run.calls = 0
        local loss = run.opt:step(run.closure):item()
        assert.equal(expected[2], run.calls)
        expect.values({ expected[1], table.unpack(expected, 3) },
          { loss, run.p[1]:item(), run.p[2]:item(), run.q[1]:item(), run.q[2]:item() }, 1e-10)
      end
    end)
  end

  it("finds the minimum, in float32 too", function()
    for _, dtype in ipairs { "float64", "float32" } do
      local run = problem({ max_iter = 100, line_search_fn = "strong_wolfe" }, dtype)
      run.opt:step(run.closure)
      local tolerance = dtype == "float64" and 1e-4 or 2e-3
      expect.values({ 1, 1 }, run.p, tolerance)
      assert.is_true(math.abs((run.q * run.q):sum():item() - 1) < tolerance)
    end
  end)

  it("stops within its budget of evaluations", function()
    local run = problem { max_iter = 1000, max_eval = 7 }
    run.opt:step(run.closure)
    assert.equal(7, run.calls)
  end)

  it("goes on from a state_dict, history and all", function()
    local a = problem { max_iter = 5, line_search_fn = "strong_wolfe" }
    for _ = 1, 2 do a.opt:step(a.closure) end
    local b = problem()
    sonde.no_grad(function() b.p:copy_(a.p) b.q:copy_(a.q) end)
    local dict = a.opt:state_dict()
    assert.equal(4, dict.state[1].d:size(1))
    b.opt:load_state_dict(dict)
    for _ = 1, 2 do
      a.opt:step(a.closure)
      b.opt:step(b.closure)
    end
    assert.is_true(a.p:equal(b.p) and a.q:equal(b.q))
    dict.state[1].old_stps = nil
    expect.error("old_dirs and 0 old_stps: as many are needed", function()
      local c = problem()
      c.opt:load_state_dict(dict)
      c.opt:step(c.closure)
    end)
    for name, wrong in pairs { d = sonde.zeros(3), old_dirs = sonde.zeros(2, 3), n_iter = sonde.tensor { 0.5 },
      x = sonde.zeros(1) } do
      expect.error("LBFGS", function() problem().opt:set_state(1, name, wrong) end)
    end
    expect.error("keeps its state with parameter 1", function() problem().opt:set_state(2, "d", sonde.zeros(4)) end)
  end)

  it("goes back to where a failing closure found it", function()
    for _, options in ipairs { { lr = 0.01 }, { line_search_fn = "strong_wolfe" } } do
      local run, calls = problem(options), 0
      local _, message = pcall(run.opt.step, run.opt, function()
        calls = calls + 1
        if calls == 2 then error "no more" end
        return run.closure()
      end)
      assert.truthy(message:find("no more", 1, true))
      expect.values({ -1.2, 1 }, run.p, 0)
    end
  end)

  it("searches where the loss is finite", function()
    local x = sonde.tensor({ 3 }, { dtype = "float64" }):requires_grad_()
    local opt = optim.LBFGS({ x }, { lr = 100, line_search_fn = "strong_wolfe" })
    local start
    for _ = 1, 20 do
      local loss = opt:step(function()
        opt:zero_grad()
        local l = (x - x:log()):sum() -- NaN below 0; least at 1
        l:backward()
        return l
      end):item()
      start = start or loss
    end
    expect.values({ 1 }, x, 1e-4)
  end)

  it("wants a closure that returns a loss, and one group", function()
    local run = problem()
    expect.error("LBFGS: step needs a closure", function() run.opt:step() end)
    expect.error("the closure of a step returns the loss, a number or a tensor of one element, got nil", function()
      local _, message = pcall(run.opt.step, run.opt, function() end)
      error((tostring(message):gsub("\nstack.*", "")), 2)
    end)
    expect.error("it has one group only", function() run.opt:add_param_group { params = {
      sonde.zeros(1):requires_grad_() } } end)
    assert.equal(1, run.opt:step(function() run.opt:zero_grad() return 1 end)) -- no gradient: nothing moves
    expect.values({ -1.2, 1 }, run.p, 0)
  end)

  it("leaves nothing behind", function()
    expect.no_leak(core, function()
      local run = problem { line_search_fn = "strong_wolfe" }
      run.opt:step(run.closure)
      pcall(run.opt.step, run.opt, function() error "x" end)
    end)
  end)
end)
