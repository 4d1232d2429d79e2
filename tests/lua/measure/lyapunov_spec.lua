--- /lyapunov: against eigenvalues, fixed points of maps and determinants.
local sonde = require "sonde"
local linalg = sonde.linalg
local nn = sonde.nn

-- The newest row of a network on x.
local function row(net, x, options)
  local probe <close> = sonde.probe.attach(net, { what = { lyapunov = options or {} }, input = x })
  net(x)
  probe:step()
  return probe:last().lyapunov
end

-- A recurrent layer without inputs to speak of, whose weight from state to state is w.
local function driven_by(w, options)
  options = options or {}
  options.dtype = "float64"
  local net = nn.RNN(1, w:size(1), options)
  sonde.no_grad(function()
    for _, parameter in ipairs(net:parameters()) do parameter:zero_() end
    net.weight_hh_l0:copy_(w)
  end)
  return net
end

local function double(t) return sonde.tensor(t, { dtype = "float64" }) end

describe("lyapunov", function()
  it("exponents of a linear recurrence are the logarithms of its eigenvalues' moduli", function()
    sonde.manual_seed(1)
    local q = linalg.qr(sonde.randn(4, 4, { dtype = "float64" }))
    local eigenvalues = { 1.1, 0.9, 0.6, 0.3 }
    local symmetric = q:matmul(double { { 1.1, 0, 0, 0 }, { 0, -0.9, 0, 0 }, { 0, 0, 0.6, 0 }, { 0, 0, 0, 0.3 } })
      :matmul(q:t())
    local x = sonde.zeros(400, 2, 1, { dtype = "float64" })
    local found = row(driven_by(symmetric, { nonlinearity = "linear" }), x).network
    for i = 1, 4 do assert.near(math.log(eigenvalues[i]), found.exponents[i], 1e-9) end
    assert.equal(found.exponents[1], found.largest)
    -- not normal: only in the long run
    local general = double { { 0.9, 2, 0 }, { 0, 0.5, 1 }, { 0, 0, 0.25 } }
    found = row(driven_by(general, { nonlinearity = "linear" }), x).network
    for i, value in ipairs { 0.9, 0.5, 0.25 } do assert.near(math.log(value), found.exponents[i], 0.02) end
  end)

  it("of an orthogonal one are 0, and only the leading one costs as little", function()
    local w = linalg.qr(sonde.randn(20, 20, { dtype = "float64" }))
    local x = sonde.randn(50, 3, 1, { dtype = "float64" })
    local found = row(driven_by(w, { nonlinearity = "linear" }), x, { values = "all" }).network
    assert.equal(20, #found.exponents)
    for _, value in ipairs(found.exponents) do assert.near(0, value, 1e-12) end
    found = row(driven_by(w, { nonlinearity = "linear" }), x, { values = 1 }).network
    assert.equal(0, math.floor(1e9 * math.abs(found.largest)))
  end)

  it("of a map at its fixed point is the logarithm of its slope there", function()
    -- h ← tanh(g h): the fixed point 0 is stable below g = 1, above it h* = tanh(g h*) with the slope g (1 − h*²)
    local x = sonde.zeros(50, 1, 1, { dtype = "float64" })
    local function exponent(g, start)
      local layer = driven_by(double { { g } })
      local Started = nn.Module:extend "Started"
      function Started:init() self.layer = layer end
      local h = sonde.full({ 1, 1, 1 }, start, { dtype = "float64" })
      function Started:forward(input) return (self.layer(input, h)) end
      return row(Started(), x).layer.largest
    end
    assert.near(math.log(0.5), exponent(0.5, 0), 1e-9)
    local h = 0.5
    for _ = 1, 1000 do h = (math.exp(3 * h) - 1) / (math.exp(3 * h) + 1) end -- tanh(1.5 h)
    assert.near(math.log(1.5 * (1 - h * h)), exponent(1.5, h), 1e-9)
  end)

  it("of a full spectrum add up to the determinant of the whole, for gates and layers", function()
    sonde.manual_seed(5)
    local time, hidden = 3, 3
    for _, make in ipairs { nn.RNN, nn.GRU, nn.LSTM } do
      local net = make(2, hidden, { num_layers = 2, batch_first = true, dtype = "float64" })
      local is_lstm = net:class_name() == "LSTM"
      local x = sonde.randn(1, time, 2, { dtype = "float64" })
      local function final(h, c)
        return sonde.no_grad(function()
          local _, after_h, after_c = net(x, h, c)
          return is_lstm and sonde.cat({ after_h, after_c }, 3):reshape(-1) or after_h:reshape(-1)
        end)
      end
      local columns, start = {}, { sonde.zeros(2, 1, hidden, { dtype = "float64" }),
        is_lstm and sonde.zeros(2, 1, hidden, { dtype = "float64" }) or nil }
      for layer = 1, 2 do
        for part = 1, #start do
          for i = 1, hidden do
            local cell = start[part]
            cell[{ layer, 1, i }] = 1e-5
            local up = final(start[1], start[2])
            cell[{ layer, 1, i }] = -1e-5
            columns[#columns + 1] = (up - final(start[1], start[2])) / 2e-5
            cell[{ layer, 1, i }] = 0
          end
        end
      end
      local _, log_determinant = linalg.slogdet(sonde.stack(columns))
      local found = row(net, x, { values = "all", warmup = 0 }).network
      local sum = 0
      for _, value in ipairs(found.exponents) do sum = sum + value end
      assert.equal(#columns, #found.exponents)
      assert.near(log_determinant:item() / time, sum, 1e-4)
    end
  end)

  it("tells chaos from order in random networks (Sompolinsky, Crisanti and Sommers 1988)", function()
    sonde.manual_seed(6)
    local x = sonde.randn(200, 2, 1, { dtype = "float64" }) * 0
    local function largest(g)
      local Kicked = nn.Module:extend "Kicked"
      local layer = driven_by(sonde.randn(100, 100, { dtype = "float64" }) * (g / 10))
      local h = sonde.randn(1, 2, 100, { dtype = "float64" })
      function Kicked:init() self.layer = layer end
      function Kicked:forward(input) return (self.layer(input, h)) end
      return row(Kicked(), x, { values = 1 }).layer.largest
    end
    assert.near(math.log(0.5), largest(0.5), 0.1)
    assert.truthy(largest(3) > 0.1)
  end)

  it("leaves a training's bits as they are", function()
    local function trained(probed)
      sonde.manual_seed(7)
      local net = nn.Sequential { nn.LSTM(2, 5, { num_layers = 2, dropout = 0.5 }), nn.Linear(5, 1) }
      local opt, probe = sonde.optim.SGD(net:parameters(), { lr = 0.1 }), nil
      if probed then probe = sonde.probe.attach(net, { what = { "lyapunov", "jacobian" }, every = 1 }) end
      for _ = 1, 3 do
        opt:zero_grad()
        net(sonde.randn(6, 4, 2)):square():mean():backward()
        opt:step()
        if probe then probe:step() end
      end
      if probe then
        assert.truthy(probe:last().lyapunov["1"].largest < 0)
        probe:remove()
      end
      return net:state_dict()
    end
    local plain, probed = trained(false), trained(true)
    for name, value in pairs(plain) do assert.truthy(value:equal(probed[name]), name) end
  end)

  it("leaves out both directions at once, and what does not recur", function()
    local net = nn.Sequential { nn.Linear(2, 2), nn.LSTM(2, 3, { bidirectional = true }), nn.GRU(6, 4) }
    local found = row(net, sonde.randn(7, 2, 2))
    assert.is_nil(found["2"])
    assert.truthy(found["3"].largest < 1)
    assert.equal("state", found["3"].role)
    assert.error_matches(function() row(nn.Linear(2, 2), sonde.randn(7, 2)) end,
      "'lyapunov': there is nothing to measure in this network: it takes RNN, LSTM or GRU")
    assert.error_matches(function() row(net, sonde.randn(7, 2, 2), { warmup = -1 }) end, "warmup must be a whole")
  end)
end)
