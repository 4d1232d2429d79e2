--- P21: what gradient clipping does and what it cannot do (Pascanu et al. 2013).
local sonde = require "sonde"
local science = require "support.science"
local nn, optim = sonde.nn, sonde.optim

local function parameter(grad)
  local p = sonde.zeros_like(grad):requires_grad_()
  p.grad = grad
  return p
end

describe("P21 clipping by global norm", function()
  it("multiplies by min(1, c/(norm + 1e-6)) and keeps the direction", function()
    sonde.manual_seed(1)
    for _, c in ipairs { 0.1, 1, 5 } do
      local g = sonde.randn(50, { dtype = "float64" }) * 3
      local p = parameter(g:clone())
      local norm, coef = nn.utils.clip_grad_norm_({ p }, c)
      science.within("norm", math.abs(norm / g:norm():item() - 1), 0, 1e-12)
      science.within("coef", math.abs(coef - math.min(1, c / (norm + 1e-6))), 0, 1e-12)
      science.within("difference", (p.grad - g * coef):abs():max():item(), 0, 1e-12)
      local cosine = (p.grad * g):sum():item() / (p.grad:norm():item() * norm)
      science.within("cosine", cosine, 1 - 1e-12, 1 + 1e-12)
    end
  end)
  it("changes no bit below the threshold", function()
    sonde.manual_seed(2)
    local g = sonde.randn(50)
    local p = parameter(g:clone())
    nn.utils.clip_grad_norm_({ p }, 1000)
    assert.equal(0, p.grad:ne(g):sum():item())
  end)
  it("leaves the layer ratios of a 20-layer sigmoid net alone", function()
    sonde.manual_seed(3)
    local net = science.mlp {
      depth = 20, width = 30, inputs = 20, activation = nn.Sigmoid, init = nn.init.xavier_uniform_,
    }
    local x = sonde.randn(16, 20, { dtype = "float64" })
    nn.CrossEntropyLoss()(net(x), sonde.randint(1, 10, { 16 })):backward()
    local function norms()
      local list = {}
      for name, p in net:named_parameters() do
        if name:match("weight") then list[#list + 1] = p.grad:norm():item() end
      end
      return list
    end
    local before = norms()
    nn.utils.clip_grad_norm_(net:parameters(), 1e-3)
    local after = norms()
    assert.is_true(after[#after] < before[#before])
    for i = 1, #before do
      local kept = (after[i] / after[#after]) / (before[i] / before[#before])
      science.within("ratio", math.abs(kept - 1), 0, 1e-14)
    end
  end)
end)

describe("P21 clipping by value", function()
  it("of (3, 0.1) at 0.5 turns the gradient", function()
    local p = parameter(sonde.tensor({ 3, 0.1 }, { dtype = "float64" }))
    nn.utils.clip_grad_value_({ p }, 0.5)
    assert.same({ 0.5, 0.1 }, p.grad:totable())
    local cosine = (0.5 * 3 + 0.1 * 0.1) / (math.sqrt(9.01) * p.grad:norm():item())
    science.within("cosine", cosine, 0.98656, 0.98658)
  end)
end)

describe("P21 the cliff y = w^50", function()
  --- Gradient descent on (w^50 - 0.5)² from w = 1.1; returns the last w and the number of steps it stayed finite.
  local function descend(steps, clip)
    local w = sonde.tensor({ 1.1 }, { dtype = "float64" }):requires_grad_()
    local opt = optim.SGD({ w }, { lr = 0.01 })
    for step = 1, steps do
      opt:zero_grad()
      local loss = (w ^ 50 - 0.5) ^ 2
      local value = loss:item()
      if value ~= value or value == math.huge then return w:item(), step - 1 end
      loss:sum():backward()
      if clip then nn.utils.clip_grad_norm_({ w }, clip) end
      opt:step()
    end
    return w:item(), steps
  end
  it("throws plain gradient descent out after one step", function()
    local _, finite = descend(10)
    assert.equal(1, finite)
  end)
  it("is passed with clipping", function()
    local w, finite = descend(2000, 0.05)
    assert.equal(2000, finite)
    science.within("w", w, 0.98623 - 0.002, 0.98623 + 0.002)
  end)
end)
