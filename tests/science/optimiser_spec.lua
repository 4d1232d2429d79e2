--- P19: the size of an optimiser's first step, and what a vanishing gradient does to it (Kingma & Ba 2015).
local sonde = require "sonde"
local science = require "support.science"
local optim = sonde.optim

local lr, eps = 1e-3, 1e-8

local function first_step(name, g, options)
  local p = sonde.zeros(1, { dtype = "float64" }):requires_grad_()
  p.grad = sonde.full({ 1 }, g, { dtype = "float64" })
  options = options or {}
  options.lr = lr
  optim[name]({ p }, options):step()
  return -p:item()
end

local function near(what, value, expected)
  science.within(what, value / expected, 1 - 1e-6, 1 + 1e-6)
end

describe("P19 the first step", function()
  it("of Adam is lr g/(g + eps): lr until the gradient is as small as eps", function()
    for _, g in ipairs { 1, 1e-4, 1e-8, 1e-12, 1e-100 } do
      near("Adam at " .. g, first_step("Adam", g), lr * g / (g + eps))
    end
    near("Adam at eps", first_step("Adam", 1e-8), lr / 2)
    science.within("Adam at 1e-12", first_step("Adam", 1e-12) / (1e-4 * lr), 0.999, 1)
  end)

  it("of RMSprop is lr g/(g √(1 - alpha) + eps), of SGD lr g", function()
    for _, g in ipairs { 1, 1e-4, 1e-8, 1e-12 } do
      near("RMSprop at " .. g, first_step("RMSprop", g), lr * g / (0.1 * g + eps))
      near("SGD at " .. g, first_step("SGD", g), lr * g)
    end
  end)

  it("of those that go by the sign is the same for any gradient", function()
    for _, g in ipairs { 1, 1e-12, 1e-300 } do
      near("Lion at " .. g, first_step("Lion", g), lr)
      near("Rprop at " .. g, first_step("Rprop", g), lr)
    end
  end)
end)

describe("P19 Adam's way with eps = 0", function()
  it("does not depend on the gradient's scale", function()
    sonde.manual_seed(1)
    local gradients = {}
    for k = 1, 50 do gradients[k] = sonde.randn(20, { dtype = "float64" }) end
    local function way(scale)
      local p = sonde.ones(20, { dtype = "float64" }):requires_grad_()
      local opt = optim.Adam({ p }, { lr = 0.01, eps = 0 })
      for _, g in ipairs(gradients) do
        p.grad = g * scale
        opt:step()
      end
      return p:detach()
    end
    local one = way(1)
    for _, scale in ipairs { 1e-60, 1e-6, 1e6, 1e60 } do
      science.within("difference at " .. scale, (way(scale) - one):abs():max():item(), 0, 1e-9)
    end
  end)
end)
