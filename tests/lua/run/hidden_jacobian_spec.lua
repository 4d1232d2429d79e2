--- /hidden_jacobian: what is remembered, against explicit Jacobians by autograd.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local written_out = require "support.recurrences"
local nn, optim = sonde.nn, sonde.optim

local f64 = { dtype = "float64" }
local T, B, I, H = 7, 3, 2, 4
local ALL = { "l0", "l0_reverse", "l1", "l1_reverse" }

local function measure(net, ...)
  local probe <close> = sonde.probe.attach(net, { what = { "hidden_jacobian" } })
  net(...):sum():backward()
  probe:step()
  return probe:last().hidden_jacobian
end

-- What the probe's vectors are, up to their signs: M = v vᵀ of each sample (list of [H, H]), by suffix. A linear
-- recurrence with W = u e₁ᵀ has ‖vᵀW‖ = |v·u| over one step, and batches of 1, 2, … tell the samples apart.
local function vectors()
  local net = nn.RNN(I, H, { num_layers = 2, bidirectional = true, nonlinearity = "linear", dtype = "float64" })
  local function squares(u) -- suffix → { (v·u)² of each sample }
    local found = {}
    for _, suffix in ipairs(ALL) do
      local w = sonde.zeros(H, H, f64)
      for _, i in ipairs(u) do w[i][1]:fill_(1) end
      sonde.no_grad(function() net["weight_hh_" .. suffix]:copy_(w) end)
      found[suffix] = {}
    end
    local before = {}
    for n = 1, B do
      local row = measure(net, sonde.zeros(2, n, I, f64))
      for _, suffix in ipairs(ALL) do
        local sum = n * row["hidden_" .. suffix].l2_norm[1] ^ 2
        found[suffix][n], before[suffix] = sum - (before[suffix] or 0), sum
      end
    end
    return found
  end
  local q, m = {}, {}
  for i = 1, H do q[i] = squares { i } end
  for _, suffix in ipairs(ALL) do
    m[suffix] = {}
    for b = 1, B do m[suffix][b] = sonde.zeros(H, H, f64) end
  end
  for i = 1, H do
    for j = 1, H do
      local both = i ~= j and squares { i, j }
      for _, suffix in ipairs(ALL) do
        for b = 1, B do
          local value = both and (both[suffix][b] - q[i][suffix][b] - q[j][suffix][b]) / 2 or q[i][suffix][b]
          m[suffix][b][i][j]:fill_(value)
        end
      end
    end
  end
  return m
end

-- RMS over the samples of ‖vᵀ J‖ = √tr(Jᵀ M J) by lag. rows[b][t][i]: gradient [H] of unit i of sample b's last state
-- by its state at t.
local function root_mean_square(rows, m, steps_of, time_of)
  local norms = {}
  for k = 0, T - 1 do
    local sum, n = 0, 0
    for b = 1, B do
      if k < steps_of(b) then
        local jacobian = sonde.stack(rows[b][time_of(b, k)], 1)
        sum, n = sum + (jacobian * m[b]:matmul(jacobian)):sum():item(), n + 1
      end
    end
    norms[T - k] = (sum / n) ^ 0.5
  end
  return norms
end

local function near(want, got, what)
  assert.equal(#want, #got)
  for t = 1, #want do
    assert(math.abs(want[t] - got[t]) <= 1e-9 * math.abs(want[t]), ("%s, column %d: %.17g, expected %.17g"):format(what,
      t, got[t], want[t]))
  end
end

-- Of one layer and direction by autograd, each sample alone: by h_t, by c_t. lengths nil: all of T.
local function explicit(net, kind, x, suffix, m, lengths)
  local reverse = suffix:find "reverse" ~= nil
  local function steps_of(b) return lengths and lengths[b] or T end
  local function time_of(b, k) return reverse and 1 + k or steps_of(b) - k end
  local by_h, by_c = {}, {}
  for b = 1, B do
    by_h[b], by_c[b] = {}, {}
    for t = 1, steps_of(b) do by_h[b][t], by_c[b][t] = {}, {} end
    for i = 1, H do
      local hs, cs = written_out(net, kind, x[{ { 1, steps_of(b) }, { b, b } }], suffix, reverse)
      hs[time_of(b, 0)][1][i]:backward()
      for t = 1, steps_of(b) do
        by_h[b][t][i] = hs[t].grad[1]
        by_c[b][t][i] = kind == "LSTM" and cs[t].grad[1] or nil
      end
    end
  end
  return root_mean_square(by_h, m, steps_of, time_of),
    kind == "LSTM" and root_mean_square(by_c, m, steps_of, time_of)
end

-- What a layer is called with besides x.
local function rest_of(kind, n_states, lengths)
  local zeros = sonde.zeros(n_states, B, H, f64)
  local rest = { zeros, kind == "LSTM" and zeros or nil }
  if lengths then rest[#rest + 1] = sonde.tensor(lengths, { dtype = "int64" }) end
  return table.unpack(rest)
end

describe("/hidden_jacobian", function()
  sonde.manual_seed(11)
  local m = vectors()

  it("is taken with a unit vector for each sample, layer and direction", function()
    local seen = {}
    for _, suffix in ipairs(ALL) do
      for b = 1, B do
        local trace = 0
        for i = 1, H do trace = trace + m[suffix][b][i][i]:item() end
        assert(math.abs(trace - 1) < 1e-12, trace)
        local first = ("%.6f"):format(m[suffix][b][1][1]:item())
        assert.is_nil(seen[first])
        seen[first] = true
      end
    end
  end)

  for _, kind in ipairs { "RNN", "LSTM", "GRU" } do
    it("is that of every layer and direction of " .. kind .. ", with and without lengths", function()
      local net = nn[kind](I, H, { num_layers = 2, bidirectional = true, dtype = "float64" })
      local first, state = nn[kind](I, H, { bidirectional = true, dtype = "float64" }), {}
      for name in pairs(first:state_dict()) do state[name] = net[name]:detach() end
      first:load_state_dict(state)
      for _, lengths in ipairs { false, { 7, 2, 5 } } do
        sonde.manual_seed(11)
        local x = sonde.randn(T, B, I, f64)
        local row = measure(net, x, rest_of(kind, 4, lengths))
        local between = first(x, rest_of(kind, 2, lengths)):detach()
        for _, suffix in ipairs(ALL) do
          local l2, cell = explicit(net, kind, suffix:find "l1" and between or x, suffix, m[suffix], lengths)
          near(l2, row["hidden_" .. suffix].l2_norm, kind .. " " .. suffix)
          if cell then near(cell, row["hidden_" .. suffix].cell_l2_norm, "cell " .. suffix) end
          assert.equal(kind == "LSTM", row["hidden_" .. suffix].cell_l2_norm ~= nil)
        end
      end
    end)
  end

  it("is that of every variant of the cells, as their own backward has it, and is not clipped", function()
    for _, case in ipairs {
      { "RNN", { nonlinearity = "relu", leak = 0.3 } }, { "LSTM", { peepholes = true } },
      { "LSTM", { layer_norm = true } }, { "LSTM", { activation = "relu", forget_bias = 1 } },
      { "GRU", { reset_after = false } },
    } do
      local kind, options = case[1], case[2]
      options.dtype = "float64"
      local net, x, rows = nn[kind](I, H, options), sonde.randn(T, B, I, f64), {}
      for b = 1, B do
        rows[b] = {}
        for t = 1, T do rows[b][t] = {} end
      end
      for i = 1, H do
        local handle = net:register_hidden_grad_hook(function(gradient, where)
          for b = 1, where.cell and 0 or B do rows[b][where.step][i] = gradient[b]:clone() end
        end)
        net(x)[T]:select(2, i):sum():backward()
        handle:remove()
      end
      local want = root_mean_square(rows, m.l0, function() return T end, function(_, k) return T - k end)
      near(want, measure(net, x).hidden_l0.l2_norm, kind)
      options.clip_hidden_grad = 1e-3
      local clipped = nn[kind](I, H, options)
      clipped:load_state_dict(net:state_dict())
      near(want, measure(clipped, x).hidden_l0.l2_norm, kind .. ", clipped")
    end
  end)

  it("tells lost memory where a target at every step keeps /hidden_grad level", function()
    local net = nn.RNN(1, 8, { nonlinearity = "linear", dtype = "float64" })
    sonde.no_grad(function() net.weight_hh_l0:copy_(sonde.eye(8, f64) * 0.5) end)
    local probe <close> = sonde.probe.attach(net)
    net(sonde.zeros(30, 2, 1, f64)):sum():backward()
    probe:step()
    local row = probe:last()
    local gradient, memory = row.hidden_grad.hidden_l0.l2_norm, row.hidden_jacobian.hidden_l0.l2_norm
    assert.truthy(gradient[1] > gradient[30])
    for t = 1, 30 do assert(math.abs(memory[t] - 0.5 ^ (30 - t)) < 1e-15) end
  end)

  it("pools the calls of a step by lag, and leaves out evaluation", function()
    local net = nn.GRU(I, H, f64)
    local x, y = sonde.randn(5, 2, I, f64), sonde.randn(8, 3, I, f64)
    local one, two = measure(net, x).hidden_l0.l2_norm, measure(net, y).hidden_l0.l2_norm
    local probe <close> = sonde.probe.attach(net, { what = { "hidden_jacobian" } })
    net(x):sum():backward()
    net(y):sum():backward()
    net:eval()
    net(sonde.randn(9, 3, I, f64)):sum():backward()
    net:train()
    probe:step()
    local want = {}
    for k = 0, 7 do
      want[8 - k] = k < 5 and ((2 * one[5 - k] ^ 2 + 3 * two[8 - k] ^ 2) / 5) ^ 0.5 or two[8 - k]
    end
    near(want, probe:last().hidden_jacobian.hidden_l0.l2_norm, "pooled")
  end)

  it("comes with the histograms, by the same vectors each time, and changes no bit of the training", function()
    local function train(options)
      sonde.manual_seed(6)
      local net = nn.LSTM(3, 4, { num_layers = 2 })
      local opt = optim.SGD(net:parameters(), { lr = 0 })
      local probe, rows, x = options and sonde.probe.attach(net, options), {}, sonde.randn(6, 2, 3)
      local drawn
      for step = 1, 6 do
        net:zero_grad()
        net(x):sum():backward()
        opt:step()
        if probe then
          probe:step()
          rows[step] = probe:last().hidden_jacobian.hidden_l1.l2_norm
        end
        drawn = sonde.rand(1):item()
      end
      if probe then probe:remove() end
      return net.weight_hh_l0.grad, rows, drawn
    end
    local plain, _, drawn = train(nil)
    local probed, rows, drawn_probed = train { hist_every = 5 }
    assert.truthy(plain:equal(probed))
    assert.equal(drawn, drawn_probed)
    for step = 2, 6 do assert.same(rows[1], rows[step]) end -- rows 1 and 6, measured anew, of the same weights
    assert.near(1, rows[1][6], 1e-6)
    local _, fixed = train { input = sonde.ones(4, 2, 3), loss = function(y) return y:sum() end }
    assert.equal(4, #fixed[1])
  end)

  it("keeps lag = longest so far - time_step as sequences grow longer", function()
    local dir <close> = process.tempdir()
    local lengths, want = { 3, 9, 4, 40, 2 }, {}
    runs({ name = "jacobian", run = function(_, run)
      local net = nn.Sequential { nn.Identity() }
      net:add("rnn", nn.GRU(3, 4, f64))
      run:probe(net, { hist_every = 1 })
      for step, n in ipairs(lengths) do
        net(sonde.randn(n, 2, 3, f64)):sum():backward()
        run:log { loss = 0 }
        want[step] = n
      end
    end }, { out = dir / "o.h5" })
    local file = assert(h5.open(dir / "o.h5"))
    local lag, norm = file:read "/hidden_jacobian/lag":totable(), file:read "/hidden_jacobian/l2_norm"
    assert.equal(40, #lag)
    for t = 1, 40 do assert.equal(40 - t, lag[t]) end
    assert.same({ 5, 1, 40 }, norm:shape())
    assert.same(want, file:read "/hidden_jacobian/length":totable())
    for step, n in ipairs(lengths) do
      local row = norm[step][1]:totable()
      assert.near(1, row[n], 1e-12)
      for t = 1, 40 do assert.equal(t <= n, row[t] == row[t]) end
    end
    file:close()
    local script = [[
import sys, xarray as xr
for engine in "h5netcdf", "netcdf4":
    d = xr.open_dataset(sys.argv[1], group="hidden_jacobian", engine=engine)
    assert d.l2_norm.dims == ("step", "probe", "time_step") and d.l2_norm.shape == (5, 1, 40), d.l2_norm
    assert d.lag.dims == ("time_step",) and list(d.lag.values) == list(range(39, -1, -1)), d.lag
    assert list(d.length.values) == [3, 9, 4, 40, 2] and "lag" in d.l2_norm.coords
]]
    local result = process.python(script, { tostring(dir / "o.h5") })
    assert.equal(0, result.code, result.stderr)
  end)
end)
