--- Initialisation that keeps every direction: check P09 (linear nets), and what
--- delta-orthogonal, critical, LSUV and Fixup weights do to gradients. Sources:
--- Saxe et al. 2014; Pennington et al. 2017; Xiao et al. 2018; Zhang et al. 2019.
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn
local within = science.within

local DOUBLE = { dtype = "float64" }

describe("P09 the input-output Jacobian of a linear net, N = 100", function()
  local N = 100

  --- Of a product of matrices that init makes: the singular
  --- values after each of `depths`, and log|det| over its length.
  local function chain(init, depths)
    local product, values, volume = sonde.eye(N, DOUBLE), {}, 0
    for l = 1, depths[#depths] do
      local w = init(sonde.zeros(N, N, DOUBLE))
      local _, log_det = sonde.linalg.slogdet(w)
      product, volume = w:matmul(product), volume + log_det:item()
      for i, depth in ipairs(depths) do
        if l == depth then values[i] = sonde.linalg.svdvals(product) end
      end
    end
    return values, volume / depths[#depths]
  end

  it("orthogonal: every singular value is 1", function()
    sonde.manual_seed(1)
    for _, values in ipairs((chain(nn.init.orthogonal_, { 10, 100 }))) do
      within("max|sv - 1|", (values - 1):abs():max():item(), 0, 1e-12)
    end
  end)

  it("Gaussian: the volume shrinks as exactly known, and most directions are lost", function()
    --- Σ_i [psi(i/2) + ln(2/N)]/2
    local function digamma(x)
      local shift = 0
      while x < 10 do shift, x = shift - 1 / x, x + 1 end
      local s = 1 / (x * x)
      return shift + math.log(x) - 0.5 / x - s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s / 240)))
    end
    local exact = 0
    for i = 1, N do exact = exact + (digamma(i / 2) + math.log(2 / N)) / 2 end
    within("exact", exact, -51.2195, -51.2185)
    local volume, lost = 0, { 0, 0 }
    science.seeds(10, function()
      local values, log_det = chain(function(w) return nn.init.normal_(w, 0, 1 / math.sqrt(N)) end, { 10, 50 })
      volume = volume + log_det / 10
      for i = 1, 2 do lost[i] = lost[i] + values[i]:lt(0.01):sum():item() / N / 10 end
      return true
    end)
    within("log|det J|/L", volume, -51.219 - 0.6, -51.219 + 0.6)
    within("share of sv < 0.01 at 10", lost[1], 0.37, 0.45)
    within("share of sv < 0.01 at 50", lost[2], 0.75, 1)
  end)
end)

--- ‖dL/dx‖ / ‖dL/dy‖ of y = net(x) for a random dL/dy.
local function backward_gain(net, x)
  x:requires_grad_()
  local y = net(x)
  local upstream = sonde.randn(y:shape(), DOUBLE)
  y:backward(upstream)
  return x.grad:norm():item() / upstream:norm():item()
end

local function stack(depth, layer)
  local net = nn.Sequential {}
  for _ = 1, depth do
    for _, m in ipairs { layer() } do net:add(m) end
  end
  return net
end

describe("a chain of 40 convolutions", function()
  local function conv(init)
    local m = nn.Conv2d(8, 8, 3, { padding = 1, bias = false, dtype = "float64" })
    init(m.weight)
    return m
  end

  it("delta-orthogonal keeps the norm of every gradient", function()
    sonde.manual_seed(1)
    local net = stack(40, function() return conv(nn.init.delta_orthogonal_) end)
    for _ = 1, 3 do within("gain", backward_gain(net, sonde.randn(2, 8, 6, 6, DOUBLE)), 1 - 1e-12, 1 + 1e-12) end
  end)

  it("Gaussian of the same variance loses it at the borders and in most directions", function()
    sonde.manual_seed(1)
    local net = stack(40, function() return conv(nn.init.lecun_normal_) end)
    within("gain", backward_gain(net, sonde.randn(2, 8, 6, 6, DOUBLE)), 0, 0.1)
  end)
end)

describe("critical_ weights", function()
  --- log10 of the gradient's gain through 60 layers of 300, per layer.
  local function decades(activation, init)
    local slopes = science.seeds(3, function()
      local net = stack(60, function()
        local m = nn.Linear(300, 300, DOUBLE)
        init(m)
        return m, activation()
      end)
      return math.log(backward_gain(net, sonde.randn(16, 300, DOUBLE)), 10) / 60
    end)
    return (slopes[1] + slopes[2] + slopes[3]) / 3
  end

  it("keep gradients through 60 layers, half and twice as large ones do not", function()
    local sigma_b = math.sqrt(0.05)
    local function scaled(factor)
      return function(m)
        nn.init.critical_(m.weight, "tanh", { sigma_b = sigma_b, bias = m.bias })
        sonde.no_grad(function() m.weight:mul_(factor) end)
      end
    end
    within("critical", decades(nn.Tanh, scaled(1)), -0.01, 0.01)
    within("half", decades(nn.Tanh, scaled(0.5)), -1, -0.1)
    within("twice", decades(nn.Tanh, scaled(2)), 0.1, 1)
  end)

  it("of other activations, given by name, by module or by function", function()
    for _, case in ipairs {
      { nn.ReLU, "relu", 0 }, { nn.Softsign, nn.Softsign(), 0.2 }, { nn.ELU, "elu", 0.3 }, { nn.GELU, nn.GELU(), 0.6 },
      { function() return nn.Hardtanh() end, function(x) return math.max(-1, math.min(1, x)) end, 0.2 },
    } do
      local class, phi, sigma_b = table.unpack(case)
      local point = sonde.theory.critical(phi, { sigma_b = sigma_b })
      within("decades per layer", decades(class, function(m)
        nn.init.normal_(m.weight, 0, point.sigma_w / math.sqrt(300))
        nn.init.normal_(m.bias, 0, point.sigma_b)
      end), -0.015, 0.015)
    end
  end)
end)

describe("networks initialised as a whole", function()
  it("lsuv_ lets a deep network's gradient through that default weights stop", function()
    local function ratio(prepare)
      return science.geometric_mean(science.seeds(3, function(seed)
        local net = science.mlp { depth = 30, width = 100, activation = nn.Tanh, init = nn.init.lecun_normal_ }
        local x, y = science.batch(seed, 128)
        prepare(net, x)
        local run = science.measure(net, 30, x, y)
        return run.delta[1] / run.delta[30]
      end))
    end
    local function small(net)
      for l = 1, 30 do sonde.no_grad(function() net["h" .. l].weight:mul_(0.5) end) end
    end
    within("small weights", ratio(small), 0, 1e-6)
    within("lsuv_", ratio(function(net, x)
      small(net)
      nn.init.lsuv_(net, x)
    end), 0.3, 3000) -- unit variance before tanh is in its chaotic phase
  end)

  it("fixup_ bounds the gradient of residual nets that explodes with He weights", function()
    local function ratio(depth, prepare)
      return science.geometric_mean(science.seeds(3, function()
        local net = nn.Sequential {}
        for _ = 1, depth do
          net:add(nn.Residual(nn.Sequential {
            nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64),
          }))
        end
        net:to("float64")
        prepare(net)
        return backward_gain(net, sonde.randn(32, 64, DOUBLE))
      end))
    end
    local function he(net)
      for name, p in net:named_parameters() do
        if name:match("weight") then nn.init.kaiming_normal_(p, { nonlinearity = "relu" }) end
      end
    end
    within("He, 30 blocks", ratio(30, he), 1e3, math.huge)
    within("Fixup, 30 blocks", ratio(30, nn.init.fixup_), 1, 1) -- the branches' last layers are 0
    --- One step later they are not; the branches' first layers then count as 1/√L.
    within("Fixup with He last layers, 30 blocks", ratio(30, function(net)
      nn.init.fixup_(net)
      for _, m in ipairs(net:children()) do nn.init.kaiming_normal_(m.block[3].weight, { nonlinearity = "linear" }) end
    end), 1, 3)
  end)

  it("chrono_ keeps the gradient of an LSTM's cell over as many steps", function()
    local T, H = 100, 64
    local function decades(prepare)
      local found = science.seeds(5, function()
        local lstm = nn.LSTM(4, H, DOUBLE)
        nn.init.zeros_(lstm.bias_ih_l0)
        nn.init.zeros_(lstm.bias_hh_l0)
        prepare(lstm)
        local c0 = sonde.zeros(1, 1, H, DOUBLE):requires_grad_()
        local _, _, c = lstm(sonde.randn(T, 1, 4, DOUBLE), nil, c0)
        c:sum():backward()
        return math.log(c0.grad:norm():item() / math.sqrt(H), 10)
      end)
      table.sort(found)
      return found[3]
    end
    within("biases of 0", decades(function() end), -math.huge, -10)
    within("forget bias 1", decades(nn.init.forget_bias_), -12, -4)
    within("chrono", decades(function(lstm) nn.init.chrono_(lstm, T) end), -1.5, 1)
  end)
end)
