--- /gate: how far gates stand open, against recurrences written out by hand, one sample and one step at a time.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local f64 = { dtype = "float64" }

local function parameter(net, name) return net[name]:detach() end

-- What the gates' values of a list of tensors tell.
local function shares(list)
  local n, sum, open, closed, saturated = 0, 0, 0, 0, 0
  for _, t in ipairs(list) do
    for _, y in ipairs(t:reshape(-1):totable()) do
      n, sum = n + 1, sum + y
      open = open + (y > 0.9 and 1 or 0)
      closed = closed + (y < 0.1 and 1 or 0)
      saturated = saturated + (y * (1 - y) < 0.05 * 0.25 and 1 or 0)
    end
  end
  return { openness = sum / n, open_frac = open / n, closed_frac = closed / n, saturated_frac = saturated / n }
end

-- One step of one sample (x, h, c: vectors): the new h and c, and the gates by name.
local step = {}

function step.LSTM(w, x, h, c)
  local n = h:size(1)
  local z = w.ih:matmul(x) + w.b_ih + w.hh:matmul(h) + w.b_hh
  local function part(k) return z:narrow(1, (k - 1) * n + 1, n) end
  local function peep(k, cell) return w.peep and w.peep:narrow(1, (k - 1) * n + 1, n) * cell or 0 end
  local i, f = (part(1) + peep(1, c)):sigmoid(), (part(2) + peep(2, c)):sigmoid()
  c = f * c + i * part(3):tanh()
  local o = (part(4) + peep(3, c)):sigmoid()
  return o * c:tanh(), c, { input = i, forget = f, output = o }
end

function step.GRU(w, x, h)
  local n = h:size(1)
  local a, b = w.ih:matmul(x) + w.b_ih, w.hh:matmul(h) + w.b_hh
  local function part(t, k) return t:narrow(1, (k - 1) * n + 1, n) end
  local r, z = (part(a, 1) + part(b, 1)):sigmoid(), (part(a, 2) + part(b, 2)):sigmoid()
  local m = r * part(b, 3)
  if w.before then m = part(w.hh, 3):matmul(r * h) + part(w.b_hh, 3) end
  return (1 - z) * (part(a, 3) + m):tanh() + z * h, nil, { reset = r, update = z }
end

-- All gates of one layer and direction over x [T, B, I], and its outputs [T, B, H] (beyond a sample's length 0).
local function written_out(net, kind, x, suffix, lengths, options)
  local w = { ih = parameter(net, "weight_ih" .. suffix), hh = parameter(net, "weight_hh" .. suffix),
              b_ih = parameter(net, "bias_ih" .. suffix), b_hh = parameter(net, "bias_hh" .. suffix),
              peep = options.peepholes and parameter(net, "weight_peephole" .. suffix),
              before = options.reset_after == false }
  local gates, n = {}, w.hh:size(2)
  local y = sonde.zeros(x:size(1), x:size(2), n, f64)
  for b = 1, x:size(2) do
    local h, c = sonde.zeros(n, f64), sonde.zeros(n, f64)
    local length = lengths and lengths[b] or x:size(1)
    for k = 1, length do
      local t, values = suffix:find("reverse") and length + 1 - k or k
      h, c, values = step[kind](w, x[t][b], h, c)
      y[t][b]:copy_(h)
      for name, value in pairs(values) do
        gates[name] = gates[name] or {}
        table.insert(gates[name], value)
      end
    end
  end
  return gates, y
end

local function near(want, row, what)
  for name, value in pairs(want) do
    assert(math.abs(value - row[name]) < 1e-13, ("%s %s: %.17g, expected %.17g"):format(what, name, row[name], value))
  end
end

local function make(kind, options)
  local o = { dtype = "float64" }
  for name, value in pairs(options) do o[name] = value end
  local net = nn[kind](3, 5, o)
  for _, p in ipairs(net:parameters()) do p:detach():mul_(6) end -- so that some gates are open and some closed
  return net
end

local function measure(net, call, options)
  local probe <close> = sonde.probe.attach(net, options)
  call(net)
  probe:step()
  return probe:last().gate
end

local function names_of(row)
  local names = {}
  for name in pairs(row) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("/gate", function()
  it("tells of every gate, layer and direction of an LSTM and a GRU", function()
    for _, case in ipairs {
      { "LSTM", {} }, { "LSTM", { peepholes = true } }, { "GRU", {} }, { "GRU", { reset_after = false } },
      { "LSTM", { num_layers = 2, bidirectional = true } }, { "GRU", { num_layers = 2, bidirectional = true } },
    } do
      local kind, options = table.unpack(case)
      for _, lengths in ipairs { false, { 7, 2, 5, 1 } } do
        sonde.manual_seed(3)
        local net, x = make(kind, options), sonde.randn(7, 4, 3, f64)
        local row = measure(net, function()
          local last = lengths and sonde.tensor(lengths, { dtype = "int64" }) or nil
          if kind == "LSTM" then net(x, nil, nil, last):sum():backward() else net(x, nil, last):sum():backward() end
        end)
        local directions = options.bidirectional and { "", "_reverse" } or { "" }
        local into, n, seen = x, 0, { open_frac = 0, closed_frac = 0 }
        for layer = 0, (options.num_layers or 1) - 1 do
          local outputs = {}
          for d, direction in ipairs(directions) do
            local suffix = ("_l%d%s"):format(layer, direction)
            local gates
            gates, outputs[d] = written_out(net, kind, into, suffix, lengths, options)
            for gate, values in pairs(gates) do
              local got, want = row[gate .. suffix], shares(values)
              near(want, got, kind .. " " .. gate .. suffix)
              assert.equal(kind, got.module)
              assert.equal(gate .. suffix, got.role)
              n = n + 1
              for name in pairs(seen) do seen[name] = math.max(seen[name], want[name]) end
            end
          end
          into = #outputs == 2 and sonde.cat(outputs, 3) or outputs[1]
        end
        assert.equal(n, #names_of(row))
        assert.truthy(seen.open_frac > 0 and seen.closed_frac > 0)
      end
    end
  end)

  it("tells of cells, over all their calls, under the names of their modules", function()
    for kind, cell in pairs { LSTM = "LSTMCell", GRU = "GRUCell" } do
      sonde.manual_seed(5)
      local net = nn.Sequential { nn.Identity() }
      net:add("cell", make(cell, {}))
      local x = sonde.randn(6, 4, 3, f64)
      local row = measure(net, function()
        local h, c
        for t = 1, 6 do h, c = net[2](x[t], h, c) end
        h:sum():backward()
      end)
      local gates = written_out(net[2], kind, x, "", nil, {})
      for gate, values in pairs(gates) do near(shares(values), row["cell." .. gate], cell .. " " .. gate) end
      assert.equal("cell", row[names_of(row)[1]].layer)
    end
  end)

  it("goes with layer normalisation, one sequence, batch_first and float32", function()
    sonde.manual_seed(6)
    local net = make("LSTM", { layer_norm = true })
    net.bias_ih_l0:detach():narrow(1, 6, 5):fill_(60) -- normalised sums cannot outweigh that
    local row = measure(net, function() net(sonde.randn(4, 3, f64)):sum():backward() end)
    assert.equal(1, row.forget_l0.open_frac)
    assert.equal(1, row.forget_l0.saturated_frac)
    assert.truthy(row.input_l0.open_frac < 1)
    local x, double = sonde.randn(8, 3, 3, f64), make("GRU", {})
    local single = nn.GRU(3, 5, { batch_first = true })
    single:load_state_dict(double:state_dict())
    row = measure(double, function() double(x):sum():backward() end)
    local other = measure(single, function() single(x:transpose(1, 2):to("float32")):sum():backward() end)
    assert.near(row.update_l0.openness, other.update_l0.openness, 1e-6)
    assert.equal(0, other.update_l0.open_frac * 120 % 1)
  end)

  it("counts a training forward once, when a backward first reaches it", function()
    sonde.manual_seed(7)
    local net, x, y = make("LSTM", {}), sonde.randn(5, 2, 3, f64), sonde.randn(9, 2, 3, f64)
    local probe <close> = sonde.probe.attach(net, { what = { "gate" } })
    local loss = net(x):sum()
    loss:backward(nil, { retain_graph = true })
    loss:backward()
    net(y):sum():backward()
    net(y) -- reached by none
    net:eval()
    net(y):sum():backward()
    net:train()
    probe:step()
    local gates = {}
    for _, input in ipairs { x, y } do
      for name, list in pairs((written_out(net, "LSTM", input, "_l0", nil, {}))) do
        gates[name] = table.move(list, 1, #list, #(gates[name] or {}) + 1, gates[name] or {})
      end
    end
    for name, list in pairs(gates) do near(shares(list), probe:last().gate[name .. "_l0"], name) end
    probe:step() -- nothing came
    assert.truthy(probe:last().gate.forget_l0.openness ~= probe:last().gate.forget_l0.openness)
    assert.is_nil(probe:last().weight_grad)
  end)

  it("goes by its cadence, measures fixed samples, and changes no bit of the training", function()
    local function train(options)
      sonde.manual_seed(8)
      local net = nn.GRU(3, 4, { recurrent_dropout = 0.5 })
      local opt = optim.SGD(net:parameters(), { lr = 0.1 })
      local probe, rows = options and sonde.probe.attach(net, options), {}
      for k = 1, 5 do
        opt:zero_grad()
        net(sonde.randn(6, 2, 3)):sum():backward()
        opt:step()
        if probe then
          probe:step()
          rows[k] = probe:last().gate.update_l0.openness
        end
      end
      if probe then probe:remove() end
      return net, rows
    end
    local plain, probed = train(nil), train {}
    assert.truthy(plain.weight_hh_l0:detach():equal(probed.weight_hh_l0:detach()))
    local _, rare = train { every = 2 }
    assert.equal(rare[1], rare[2])
    assert.not_equal(rare[1], rare[3])
    local fixed = train { input = sonde.ones(4, 2, 3), loss = function(y) return y:sum() end }
    assert.truthy(plain.weight_hh_l0:detach():equal(fixed.weight_hh_l0:detach()))
  end)

  it("is a group of the file that xarray opens and sonde check accepts", function()
    local dir <close> = process.tempdir()
    runs({ name = "gates", run = function(_, run)
      local net = nn.Sequential {}
      net:add("rnn", nn.LSTM(3, 4))
      run:probe(net)
      for n = 2, 4 do
        net(sonde.randn(n, 2, 3)):sum():backward()
        run:log { loss = 0 }
      end
    end }, { out = dir / "o.h5" })
    local file = assert(h5.open(dir / "o.h5"))
    assert.same({ "rnn.input_l0", "rnn.forget_l0", "rnn.output_l0" }, file:read "/gate/probe")
    assert.same({ "rnn", "rnn", "rnn" }, file:read "/gate/layer")
    assert.same({ "input_l0", "forget_l0", "output_l0" }, file:read "/gate/role")
    file:close()
    local script = [[
import sys, xarray as xr
for engine in "h5netcdf", "netcdf4":
    d = xr.open_dataset(sys.argv[1], group="gate", engine=engine)
    for name in "openness", "open_frac", "closed_frac", "saturated_frac":
        assert d[name].dims == ("step", "probe") and d[name].shape == (3, 3), d[name]
        assert ((d[name] >= 0) & (d[name] <= 1)).all()
    assert d.openness.dtype == "float32" and 0.2 < float(d.openness.sel(probe="rnn.forget_l0", step=2)) < 0.8
    assert list(d.module.values) == ["LSTM"] * 3
]]
    local result = process.python(script, { tostring(dir / "o.h5") })
    assert.equal(0, result.code, result.stderr)
    result = process.sonde { "check", dir / "o.h5" }
    assert.equal(0, result.code, result.stdout .. result.stderr)
  end)

  it("has no probes where there are no gates", function()
    local net = nn.Sequential { nn.Linear(3, 4), nn.RNNCell(4, 4) }
    assert.is_nil(measure(net, function() net(sonde.randn(2, 3)):sum():backward() end))
  end)
end)
