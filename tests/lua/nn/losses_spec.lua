--- The rarer losses: values written by PyTorch 1.13 beyond tests/lua/reference, gradients, labels, bad input.
local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function f64(values) return sonde.tensor(values, { dtype = "float64" }) end

local function inputs()
  return f64 { { 0.3, -1.2, 2.0 }, { 0.5, 0.1, -0.4 } }:requires_grad_(), f64 { { 0.1, -1.0, 0.5 }, { 0.6, 0.1, 1.6 } }
end

local labels, weight = sonde.tensor({ 3, 1 }, { dtype = "int64" }), f64 { 1, 2, 0.5 }

-- loss(x, …) has this value and these gradients by x and then by others.
local function case(value, gradients, loss, others, x)
  x = x or inputs()
  local out = loss(x, table.unpack(others))
  expect.values(value, out, 1e-12)
  out:sum():backward()
  local leaves = { x, table.unpack(others) }
  for i, gradient in ipairs(gradients) do expect.values(gradient, leaves[i].grad, 1e-12) end
end

describe("losses have PyTorch's values:", function()
  it("MultiMarginLoss", function()
    case(0.11666666666666665, { { { 0, 0, 0 }, { -1 / 3, 1 / 6, 1 / 6 } } }, nn.MultiMarginLoss(), { labels })
    case(0.03, { { { 0, 0, 0 }, { -0.2, 0.2, 0 } } },
      nn.MultiMarginLoss { p = 2, margin = 0.7, weight = weight, reduction = "sum" }, { labels })
    case({ 0, 0.2333333333333333 }, {}, nn.MultiMarginLoss { reduction = "none" }, { labels })
  end)

  it("HingeEmbeddingLoss", function()
    case(0.6, { { { 1 / 6, -1 / 6, 1 / 6 }, { 0, -1 / 6, 1 / 6 } } }, nn.HingeEmbeddingLoss(0.3),
      { f64 { { 1, -1, 1 }, { -1, -1, 1 } } })
  end)

  it("CosineEmbeddingLoss", function()
    local b = f64 { { 1, 0.2, -0.5 }, { 0.4, 0.3, -0.1 } }:requires_grad_()
    case({ 1.3519414611826135, 0.6170571691003393 },
      { { { -0.39349847493234813, 0.00148949870069362, 0.05991847046030027 },
          { 0.2377679592643196, 0.7133038777864736, 0.4755359185221541 } },
        { { -0.3851445810564668, 0.3947224040973163, -0.6124002004745529 },
          { 0.25605780228699215, -0.6401445057017678, -0.8962023079887602 } } },
      nn.CosineEmbeddingLoss { margin = 0.2, reduction = "none" }, { b, sonde.tensor({ 1, -1 }, { dtype = "int64" }) })
  end)

  it("NLLLoss", function()
    case({ -1, -0.5 }, { { { 0, 0, -0.5 }, { -1, 0, 0 } } }, nn.NLLLoss { weight = weight, reduction = "none" },
      { labels })
    case(-1, { { { 0, 0, -1 / 3 }, { -2 / 3, 0, 0 } } }, nn.NLLLoss { weight = weight }, { labels })
    case(-0.5, { { { 0, 0, 0 }, { -1, 0, 0 } } }, nn.NLLLoss { ignore_index = 3 }, { labels })
    local x = sonde.arange(12):to "float64":reshape(2, 3, 2) / 7
    local each = nn.NLLLoss { weight = weight, reduction = "none" }
    local out = each(x, sonde.tensor({ { 1, 3 }, { 2, 2 } }, { dtype = "int64" }))
    expect.values({ { 0, -0.35714285714285715 }, { -2.2857142857142856, -2.5714285714285716 } }, out, 1e-12)
  end)

  it("BCELoss", function()
    local p = f64 { { 0.2, 0.9, 1 }, { 0.5, 0, 0.3 } }:requires_grad_()
    case(0.31127126691079415,
      { { { 0.10416666666666664, -0.3703703703703704, 0 }, { -1 / 15, 0, -0.27777777777777773 } } },
      nn.BCELoss { weight = weight }, { f64 { { 0.1, 1, 1 }, { 0.6, 0, 1 } } }, p)
    expect.values({ 100, 100, 0 / 0 }, nn.BCELoss { reduction = "none" }(f64 { 0, 1, 0 / 0 }, f64 { 1, 0, 1 }))
  end)

  it("KLDivLoss", function()
    local t = f64 { { -1, -0.5, -2 }, { -0.2, -3, -0.1 } }:requires_grad_()
    case(-1.05101315835466, {
      { { -0.36787944117144233, -0.6065306597126334, -0.1353352832366127 },
        { -0.8187307530779818, -0.049787068367863944, -0.9048374180359595 } },
      { { -0.11036383235143271, 1.0311021215114768, -0.4060058497098381 },
        { 0.24561922592339458, -0.10455284357251429, 1.1762886434467474 } },
    }, nn.KLDivLoss { reduction = "sum", log_target = true }, { t })
    case(-0.5448837331472353, {}, nn.KLDivLoss(), { f64 { { 0.2, 0, 0.8 }, { 0.3, 0.3, 0.4 } } })
    assert.equal(0.0, nn.KLDivLoss()(f64 { -math.huge }, f64 { 0 }):item())
  end)

  it("GaussianNLLLoss", function()
    local x, t = inputs()
    local v = f64 { 0.5, 0.25 }:requires_grad_()
    local wide = f64 { { 0.5, 0.5, 0.5 }, { 0.25, 0.25, 0.25 } }
    local a, b = nn.GaussianNLLLoss()(x, t, v), nn.GaussianNLLLoss { full = true }(x, t, wide)
    assert.is_true(math.abs(b:item() - a:item() - 0.5 * math.log(2 * math.pi)) < 1e-14)
    expect.values(a:item(), nn.GaussianNLLLoss()(x, t, v:unsqueeze(-1)):item(), 0)
    v = f64 { 0.5, 1e-9 }:requires_grad_()
    local loss = nn.GaussianNLLLoss { full = true }(x, t, v)
    loss:backward()
    assert.is_true(math.abs(loss:item() / 334164.3467740985 - 1) < 1e-12)
    assert.is_true(math.abs(v.grad[2]:item() / -334166416666.6666 - 1) < 1e-12)
  end)

  it("SmoothL1Loss with beta 0 is L1Loss", function()
    local x, t = inputs()
    expect.values(nn.L1Loss()(x, t):item(), nn.SmoothL1Loss { beta = 0 }(x, t):item(), 0)
  end)
end)

describe("gradients of losses", function()
  local function random() return sonde.rand(3, 4, { dtype = "float64" }) * 0.8 + 0.1 end
  local signs = f64 { { 1, -1, 1, 1 }, { -1, -1, 1, -1 }, { 1, 1, -1, 1 } }
  local class = sonde.tensor({ 2, 4, 1 }, { dtype = "int64" })
  local cases = {
    L1Loss = { {}, random }, SmoothL1Loss = { { beta = 0.2 }, random }, HuberLoss = { { delta = 0.2 }, random },
    BCELoss = { { weight = f64 { 1, 2, 3, 4 } }, random }, KLDivLoss = { {}, random },
    HingeEmbeddingLoss = { { margin = 0.4 }, signs }, SoftMarginLoss = { {}, signs },
    NLLLoss = { { weight = f64 { 1, 2, 3, 4 } }, class },
    MultiMarginLoss = { { p = 2, weight = f64 { 1, 2, 3, 4 } }, class },
    GaussianNLLLoss = { { eps = 1e-3 }, random, random },
    CosineEmbeddingLoss = { { margin = -0.9 }, random, f64 { 1, -1, -1 } },
  }
  for name, arguments in pairs(cases) do
    it(name, function()
      for _, reduction in ipairs { "mean", "sum", "none" } do
        sonde.manual_seed(5)
        local options = { reduction = reduction }
        for k, v in pairs(arguments[1]) do options[k] = v end
        local leaves, given = { random():requires_grad_() }, {}
        for i = 2, #arguments do
          local make = arguments[i]
          given[i] = type(make) == "function" and make():requires_grad_() or make
          if type(make) == "function" then leaves[#leaves + 1] = given[i] end
        end
        local loss = nn[name](options)
        local function apply() return loss(leaves[1], table.unpack(given, 2, #arguments)) end
        assert.is_true(sonde.gradcheck(apply, leaves))
      end
    end)
  end
end)

describe("losses refuse", function()
  it("wrong shapes, dtypes, labels and values", function()
    local x, t = inputs()
    local signed = f64 { { 1, 1, 1 }, { 1, 1, 0 } }
    local grad = t:clone():requires_grad_()
    local gap = f64 { { 1, 0, 1 }, { 1, 0 / 0, 0 } }
    for _, bad in ipairs {
      { "binary_cross_entropy: target 5 is NaN: look for gaps in the data", nn.BCELoss(), t:sigmoid(), gap },
      { "binary_cross_entropy_with_logits: target 5 is NaN", nn.BCEWithLogitsLoss(), x, gap },
      { "soft_margin_loss: target 5 is NaN", nn.SoftMarginLoss(), x, gap },
      { "cross_entropy: target 5 is NaN", nn.CrossEntropyLoss(), x, gap },
      { "L1Loss: l1_loss: input [2, 3] and target [3] differ in shape", nn.L1Loss(), x, f64 { 1, 2, 3 } },
      { "huber_loss: the input is float64, the target float32", nn.HuberLoss(), x, t:to "float32" },
      { "'kl_div' takes a float tensor, got int64", nn.KLDivLoss(), labels, labels },
      { "a single number has no batch to average over", nn.KLDivLoss "batchmean", f64(1), f64(1) },
      { "binary_cross_entropy: input 2 is -1.2: it must be a probability between 0 and 1", nn.BCELoss(), x, t },
      { "hinge_embedding_loss: target 6 is 0: it must be 1 or -1", nn.HingeEmbeddingLoss(), x, signed },
      { "soft_margin_loss: the target requires a gradient", nn.SoftMarginLoss(), x, grad },
      { "gaussian_nll_loss: variance 2 is -1: it must be at least 0", nn.GaussianNLLLoss(), x, t, t },
      { "GaussianNLLLoss", nn.GaussianNLLLoss(), x, t, f64 { 1, 2, 3, 4 } },
      { "GaussianNLLLoss", nn.GaussianNLLLoss(), x, t },
      { "nll_loss: label 0 at position 1: class labels count from 1 to 3; files written elsewhere", nn.NLLLoss(), x,
        labels * 0 },
      { "multi_margin_loss: label 4 at position 1", nn.MultiMarginLoss(), x, labels + 1 },
      { "nll_loss: class labels must be int64, got float64", nn.NLLLoss(), x, f64 { 1, 2 } },
      { "nll_loss: logits [2, 3] want one label per row, got labels [3]", nn.NLLLoss(), x,
        sonde.tensor({ 1, 1, 1 }, { dtype = "int64" }) },
      { "nll_loss: weight must be a float64 tensor [3], one number a class", nn.NLLLoss { weight = f64 { 1 } }, x,
        labels },
      { "multi_margin_loss: expected one row of classes a sample, [N, C], got [1, 2, 3]", nn.MultiMarginLoss(),
        x:unsqueeze(1), labels },
      { "expected two inputs [N, D] or [D], got [2, 3] and [3]", nn.CosineEmbeddingLoss(), x, x[1], labels },
      { "cosine_embedding_loss: target 1 must be 1 or -1", nn.CosineEmbeddingLoss(), x, x, labels },
      { "inputs [2, 3] want one target per row, got [2, 3]", nn.CosineEmbeddingLoss(), x, x, signed },
    } do
      expect.error(bad[1], function() bad[2](table.unpack(bad, 3)) end)
    end
  end)

  it("wrong options", function()
    for _, bad in ipairs {
      { "HuberLoss: delta must be above 0, got 0", "HuberLoss", { delta = 0 } },
      { "SmoothL1Loss: beta must be at least 0, got -1", "SmoothL1Loss", { beta = -1 } },
      { "GaussianNLLLoss: eps must be above 0, got 0", "GaussianNLLLoss", { eps = 0 } },
      { "CosineEmbeddingLoss: margin must be between -1 and 1, got 2", "CosineEmbeddingLoss", 2 },
      { "HingeEmbeddingLoss: margin must be at least 0", "HingeEmbeddingLoss", 0 / 0 },
      { "MultiMarginLoss: margin must be a finite number, got inf", "MultiMarginLoss", 1, math.huge },
      { "bad argument 'p' to nn.MultiMarginLoss", "MultiMarginLoss", 3 },
      { "bad argument 'reduction' to nn.L1Loss", "L1Loss", "batchmean" },
      { "NLLLoss: weight must be a float tensor, got int64", "NLLLoss", { weight = labels } },
    } do
      expect.error(bad[1], function() nn[bad[2]](table.unpack(bad, 3)) end)
    end
  end)

  it("nothing that is empty: the mean of nothing is NaN, the sum 0", function()
    local empty = sonde.zeros(0, 3)
    local mean = nn.L1Loss()(empty, empty):item()
    assert.is_true(mean ~= mean)
    assert.equal(0.0, nn.NLLLoss { reduction = "sum" }(empty, sonde.zeros(0, { dtype = "int64" })):item())
    assert.equal(0.0, nn.CosineEmbeddingLoss { reduction = "sum" }(empty, empty, sonde.zeros(0)):item())
  end)
end)
