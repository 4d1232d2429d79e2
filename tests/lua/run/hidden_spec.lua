--- /hidden_grad: gradients through time, against recurrences written out by hand.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local written_out = require "support.recurrences"
local nn, optim = sonde.nn, sonde.optim

local function norms(list)
  local found = {}
  for t, tensor in ipairs(list) do found[t] = tensor.grad:norm():item() end
  return found
end

local function near(want, got, what)
  for t = 1, #want do
    assert(math.abs(want[t] - got[t]) <= 1e-12 * math.abs(want[t]), ("%s, step %d: %.17g, expected %.17g"):format(what,
      t, got[t], want[t]))
  end
end

local f64 = { dtype = "float64" }

-- Measures one backward of loss(y) through net(x) and returns /hidden_grad's newest row.
local function measure(net, x, loss, options)
  local probe <close> = sonde.probe.attach(net, options)
  loss(net(x)):backward()
  probe:step()
  return probe:last().hidden_grad
end

describe("/hidden_grad", function()
  it("has the norms of dL/dh_t and dL/dc_t with all their paths", function()
    for _, kind in ipairs { "RNN", "LSTM", "GRU" } do
      sonde.manual_seed(3)
      local net, x = nn[kind](3, 4, f64), sonde.randn(7, 5, 3, f64)
      local target = sonde.randn(7, 5, 4, f64)
      local function loss(y) return (y * target):sum() + (y * y):mean() end -- a target at every step
      local row = measure(net, x, loss)
      local hs, cs = written_out(net, kind, x, "l0")
      loss(sonde.stack(hs, 1)):backward()
      near(norms(hs), row["hidden_l0"].l2_norm, kind)
      assert.equal(7, #row["hidden_l0"].l2_norm)
      if kind == "LSTM" then near(norms(cs), row["hidden_l0"].cell_l2_norm, "cell") end
      assert.equal(kind == "LSTM", row["hidden_l0"].cell_l2_norm ~= nil)
      assert.equal(kind, row["hidden_l0"].module)
      assert.equal("hidden_l0", row["hidden_l0"].role)
    end
  end)

  it("tells layers and directions apart", function()
    sonde.manual_seed(4)
    local net = nn.Sequential { nn.Identity() }
    net:add("enc", nn.RNN(3, 4, { num_layers = 2, bidirectional = true, dtype = "float64" }))
    local x = sonde.randn(6, 2, 3, f64)
    local function loss(y) return (y * y):sum() end
    local row = measure(net, x, loss)
    local names = {}
    for name in pairs(row) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "enc.hidden_l0", "enc.hidden_l0_reverse", "enc.hidden_l1", "enc.hidden_l1_reverse" }, names)
    local rnn = net[2]
    local forth, back = written_out(rnn, "RNN", x, "l0"), written_out(rnn, "RNN", x, "l0_reverse", true)
    local both = {}
    for t = 1, 6 do both[t] = sonde.cat({ forth[t], back[t] }, 2) end
    local between = sonde.stack(both, 1)
    local forth1 = written_out(rnn, "RNN", between, "l1")
    local back1 = written_out(rnn, "RNN", between, "l1_reverse", true)
    local out = {}
    for t = 1, 6 do out[t] = sonde.cat({ forth1[t], back1[t] }, 2) end
    loss(sonde.stack(out, 1)):backward()
    near(norms(forth), row["enc.hidden_l0"].l2_norm, "l0")
    near(norms(back), row["enc.hidden_l0_reverse"].l2_norm, "l0_reverse")
    near(norms(forth1), row["enc.hidden_l1"].l2_norm, "l1")
    near(norms(back1), row["enc.hidden_l1_reverse"].l2_norm, "l1_reverse")
  end)

  it("pools the calls of a step and leaves out evaluation", function()
    sonde.manual_seed(5)
    local net = nn.RNN(3, 4, f64)
    local x, y = sonde.randn(5, 2, 3, f64), sonde.randn(8, 2, 3, f64)
    local one = measure(net, x, function(out) return out:sum() end).hidden_l0.l2_norm
    local two = measure(net, y, function(out) return out:sum() end).hidden_l0.l2_norm
    local probe <close> = sonde.probe.attach(net, { what = { "hidden_grad" } })
    net(x):sum():backward()
    net(y):sum():backward()
    net:eval()
    net(y):sum():backward()
    net:train()
    probe:step()
    local want = {}
    for t = 1, 8 do want[t] = ((one[t] or 0) ^ 2 + two[t] ^ 2) ^ 0.5 end
    near(want, probe:last().hidden_grad.hidden_l0.l2_norm, "pooled")
    probe:step() -- nothing came
    assert.truthy(probe:last().hidden_grad.hidden_l0.l2_norm[1] ~= probe:last().hidden_grad.hidden_l0.l2_norm[1])
  end)

  it("grows with the longest sequence so far and is NaN beyond the row's length", function()
    local dir <close> = process.tempdir()
    local lengths, want = { 3, 9, 4, 40, 2 }, {}
    runs({ name = "hidden", run = function(_, run)
      local net = nn.Sequential { nn.Identity() }
      net:add("rnn", nn.GRU(3, 4, f64))
      run:probe(net)
      for step, n in ipairs(lengths) do
        local x = sonde.randn(n, 2, 3, f64)
        local twin = nn.GRU(3, 4, f64)
        twin:load_state_dict(net[2]:state_dict())
        want[step] = measure(twin, x, function(y) return y:sum() end).hidden_l0.l2_norm
        net(x):sum():backward()
        run:log { loss = 0 }
      end
    end }, { out = dir / "o.h5" })
    local file = assert(h5.open(dir / "o.h5"))
    local time_step, norm = file:read "/hidden_grad/time_step":totable(), file:read "/hidden_grad/l2_norm"
    assert.equal(40, #time_step)
    for t = 1, 40 do assert.equal(t, time_step[t]) end
    assert.same({ 5, 1, 40 }, norm:shape())
    assert.same(lengths, file:read "/hidden_grad/length":totable())
    assert.same({ "rnn.hidden_l0" }, file:read "/hidden_grad/probe")
    for step, n in ipairs(lengths) do
      local row = norm[step][1]:totable()
      for t = 1, 40 do
        if t <= n then assert.equal(want[step][t], row[t]) else assert.truthy(row[t] ~= row[t]) end
      end
    end
    file:close()
    local script = [[
import sys, xarray as xr
for engine in "h5netcdf", "netcdf4":
    d = xr.open_dataset(sys.argv[1], group="hidden_grad", engine=engine)
    assert d.l2_norm.dims == ("step", "probe", "time_step") and d.l2_norm.shape == (5, 1, 40), d.l2_norm
    assert d.length.dims == ("step",) and list(d.length.values) == [3, 9, 4, 40, 2]
    assert d.l2_norm.sel(probe="rnn.hidden_l0", time_step=3).notnull().values.tolist() == [True] * 4 + [False]
]]
    local result = process.python(script, { tostring(dir / "o.h5") })
    assert.equal(0, result.code, result.stderr)
  end)

  it("goes by its cadence, measures fixed samples, and changes no bit of the training", function()
    local function train(options)
      sonde.manual_seed(6)
      local net = nn.LSTM(3, 4)
      local opt = optim.SGD(net:parameters(), { lr = 0.1 })
      local probe = options and sonde.probe.attach(net, options)
      local rows = {}
      for step = 1, 5 do
        opt:zero_grad()
        net(sonde.randn(6, 2, 3)):sum():backward()
        opt:step()
        if probe then
          probe:step()
          rows[step] = probe:last().hidden_grad.hidden_l0.l2_norm
        end
      end
      if probe then probe:remove() end
      return net, rows
    end
    local plain, probed = train(nil), train {}
    assert.truthy(plain.weight_hh_l0:detach():equal(probed.weight_hh_l0:detach()))
    local _, rare = train { every = 2 }
    assert.same(rare[1], rare[2])
    assert.not_equal(rare[1][1], rare[3][1])
    local x = sonde.ones(4, 2, 3)
    local fixed, rows = train { input = x, loss = function(y) return y:sum() end }
    assert.truthy(plain.weight_hh_l0:detach():equal(fixed.weight_hh_l0:detach()))
    assert.equal(4, #rows[1])
  end)

  it("has no probes without a recurrent layer", function()
    local net = nn.Sequential { nn.Linear(3, 4), nn.RNNCell(4, 4) }
    assert.is_nil(measure(net, sonde.randn(2, 3), function(h) return h:sum() end))
  end)
end)
