--- P14: what a skip connection does to the gradient at initialisation (He et al. 2016; De & Smith 2020).
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn

local WIDTH, BATCH = 128, 64

--- ‖dL/dh_0‖ / ‖dL/dh_L‖ of `depth` blocks made by `block()`, then a linear read-out and cross-entropy. float64.
local function gradient_ratio(depth, block)
  local net = nn.Sequential {}
  for _ = 1, depth do net:add(block()) end
  local readout = nn.Linear(WIDTH, 10):to("float64")
  net:to("float64")
  local h0 = sonde.randn(BATCH, WIDTH, { dtype = "float64" }):requires_grad_()
  local top
  local hL = net(h0)
  hL:register_hook(function(g) top = g:clone() end)
  local labels = sonde.randint(1, 10, { BATCH })
  nn.CrossEntropyLoss()(readout(hL), labels):backward()
  return h0.grad:norm():item() / top:norm():item(), h0.grad, top
end

local function branch(init)
  local linear = nn.Linear(WIDTH, WIDTH, { bias = false })
  init(linear.weight)
  return nn.Sequential { nn.ReLU(), linear }
end

local function he(w) nn.init.kaiming_normal_(w, { nonlinearity = "relu" }) end

local function ratios(depth, block)
  return science.seeds(5, function() return (gradient_ratio(depth, block)) end)
end

describe("P14 skip connections at initialisation", function()
  for depth, growth in pairs { [10] = 32, [30] = 32768 } do
    it("a zero branch passes the gradient on bit for bit, depth " .. depth, function()
      sonde.manual_seed(1)
      local ratio, bottom, top = gradient_ratio(depth, function()
        return nn.Residual(branch(function(w) nn.init.constant_(w, 0) end))
      end)
      assert.equal(1, ratio)
      assert.equal(0, bottom:ne(top):sum():item())
    end)
    it("unscaled branches explode as 2^(L/2), depth " .. depth, function()
      local mean = science.geometric_mean(ratios(depth, function() return nn.Residual(branch(he)) end))
      science.within("ratio", mean, growth / 3, growth * 3)
    end)
    it("branches over sqrt L do not, depth " .. depth, function()
      local scale = 1 / math.sqrt(depth)
      for _, ratio in ipairs(ratios(depth, function() return nn.Residual(branch(he), { scale = scale }) end)) do
        science.within("ratio", ratio, 1.3, 2.1)
      end
    end)
  end
  it("a plain sigmoid net of the same depth has lost it", function()
    for _, ratio in ipairs(ratios(30, function()
      local linear = nn.Linear(WIDTH, WIDTH)
      nn.init.xavier_uniform_(linear.weight)
      nn.init.constant_(linear.bias, 0)
      return nn.Sequential { linear, nn.Sigmoid() }
    end)) do
      science.within("ratio", ratio, 0, 1e-17)
    end
  end)
end)
