local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...)
  return sonde.randn({ ... }, { dtype = "float64", requires_grad = true })
end

--- Checks the gradients of input and parameters of a float64 module.
local function check(m, x)
  m:to("float64")
  local leaves = { x }
  for _, p in ipairs(m:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(function(v) return m(v) end, leaves))
end

describe("convolutions", function()
  it("have PyTorch's shapes and start", function()
    local m = nn.Conv2d(4, 6, { 3, 5 }, { groups = 2 })
    expect.shape({ 6, 2, 3, 5 }, m.weight)
    expect.shape({ 6 }, m.bias)
    local bound = 1 / math.sqrt(2 * 15)
    assert.is_true(m.weight:abs():max():item() <= bound and m.weight:abs():max():item() > 0.9 * bound)
    expect.shape({ 2, 6, 6, 4 }, m(sonde.ones(2, 4, 8, 8)))
    local up = nn.ConvTranspose2d(4, 6, 3, { stride = 2, padding = 1, output_padding = { 1, 0 } })
    expect.shape({ 4, 6, 3, 3 }, up.weight)
    expect.shape({ 1, 6, 10, 9 }, up(sonde.ones(1, 4, 5, 5)))
    assert.is_true(up.bias:abs():max():item() <= 1 / math.sqrt(6 * 9))
    expect.shape({ 3, 2, 4 }, nn.Conv1d(2, 3, 4).weight)
    assert.is_nil(nn.Conv1d(2, 3, 4, { bias = false }).bias)
    assert.equal("Conv2d(1, 2, kernel_size={3, 3}, stride={1, 1}, padding={0, 1}, dilation={2, 2}, bias=false)",
      tostring(nn.Conv2d(1, 2, 3, { padding = { 0, 1 }, dilation = 2, bias = false })))
    assert.equal("Conv1d(1, 2, kernel_size=3, stride=2)", tostring(nn.Conv1d(1, 2, { 3 }, 2)))
  end)

  it("pass gradcheck in every arrangement", function()
    check(nn.Conv1d(2, 4, 3, { stride = 2, padding = 2, dilation = 2, groups = 2 }), randn(2, 2, 7))
    for _, opts in ipairs {
      {}, { stride = { 2, 1 }, padding = { 0, 2 } }, { dilation = { 1, 2 }, padding = 1 }, { groups = 2, bias = false },
      { stride = 3, padding = 4 },
    } do
      check(nn.Conv2d(2, 4, { 3, 2 }, opts), randn(2, 2, 5, 6))
    end
    for _, opts in ipairs {
      {}, { stride = { 2, 3 }, padding = { 1, 0 }, output_padding = { 1, 2 } }, { dilation = 2, groups = 2 },
    } do
      check(nn.ConvTranspose2d(2, 4, { 3, 2 }, opts), randn(2, 2, 3, 2))
    end
  end)

  it("pad in every mode, and take a single sample", function()
    local x = sonde.tensor { { 1, 2, 3 } }
    local function padded(opts)
      local m = nn.Conv1d(1, 1, 1, opts)
      m.weight:detach():fill_(1)
      m.bias:detach():fill_(0)
      return m(x)
    end
    expect.values({ { 0, 0, 1, 2, 3, 0, 0 } }, padded { padding = 2 })
    expect.values({ { 3, 2, 1, 2, 3, 2, 1 } }, padded { padding = 2, padding_mode = "reflect" })
    expect.values({ { 1, 1, 1, 2, 3, 3, 3 } }, padded { padding = 2, padding_mode = "replicate" })
    expect.values({ { 2, 3, 1, 2, 3, 1, 2 } }, padded { padding = 2, padding_mode = "circular" })
    for _, mode in ipairs { "zeros", "reflect", "replicate", "circular" } do
      check(nn.Conv2d(2, 2, 3, { padding = { 1, 2 }, padding_mode = mode }), randn(2, 4, 3))
      check(nn.Conv1d(1, 2, 4, { padding = "same", padding_mode = mode }), randn(2, 1, 4))
    end
    check(nn.Conv2d(1, 1, 3, { padding = "same", dilation = 4 }), randn(1, 3, 3)) -- only its centre meets the image
    check(nn.Conv2d(1, 2, { 5, 2 }, { padding = { 1, 0 }, dilation = { 1, 1 } }), randn(2, 1, 4, 3))
    check(nn.Conv2d(1, 2, { 4, 3 }, { padding = { 2, 1 } }), randn(2, 1, 3, 2))
    for kernel = 1, 4 do
      expect.shape({ 2, 1, 5, 6 }, nn.Conv2d(1, 1, kernel, { padding = "same", dilation = 2 })(sonde.ones(2, 1, 5, 6)))
    end
    expect.shape({ 3, 7, 7 }, nn.ConvTranspose2d(2, 3, 3)(sonde.ones(2, 5, 5)))
    assert.equal("Conv1d(1, 1, kernel_size=2, stride=1, padding='same', padding_mode='circular')",
      tostring(nn.Conv1d(1, 1, 2, { padding = "same", padding_mode = "circular" })))
  end)

  it("take views, and nothing of an empty batch", function()
    local m, x = nn.Conv2d(2, 3, 3), sonde.randn(4, 5, 5, 2)
    local seen = m(x:permute(1, 4, 2, 3))
    assert.is_true(seen:equal(m(x:permute(1, 4, 2, 3):clone())))
    local y = m(sonde.zeros(0, 2, 5, 5))
    expect.shape({ 0, 3, 3, 3 }, y)
    y:sum():backward()
    expect.values(0, m.weight.grad:abs():sum())
    nn.ConvTranspose2d(2, 3, 3)(sonde.zeros(0, 2, 5, 5)):sum():backward()
  end)

  it("a transposed convolution is the gradient of a convolution", function()
    local w, x = sonde.randn(3, 2, 3, 3, { dtype = "float64" }), randn(1, 2, 6, 6)
    local down = nn.Conv2d(2, 3, 3, { stride = 2, padding = 1, bias = false, dtype = "float64" })
    local up = nn.ConvTranspose2d(3, 2, 3,
      { stride = 2, padding = 1, output_padding = 1, bias = false, dtype = "float64" })
    down.weight:detach():copy_(w)
    up.weight:detach():copy_(w)
    local dy = sonde.randn(1, 3, 3, 3, { dtype = "float64" })
    down(x):backward(dy)
    assert.is_true((up(dy) - x.grad):abs():max():item() < 1e-12)
  end)

  it("check their arguments", function()
    expect.error("bad argument 'kernel_size' to nn.Conv2d: expected a number or a list of 2, got a list of 3",
      function() nn.Conv2d(1, 1, { 1, 2, 3 }) end)
    expect.error("expected a number or a list of 1, got a list of 2", function() nn.Conv1d(1, 1, { 1, 2 }) end)
    expect.error("'kernel_size' to nn.Conv2d", function() nn.Conv2d(1, 1) end)
    expect.error("nn.Conv2d: unknown option 'pading'",
      function() nn.Conv2d(1, 1, 3, { pading = 1 }) end)
    expect.error("3 input and 4 output channels cannot be cut into 2 groups",
      function() nn.Conv2d(3, 4, 1, { groups = 2 }) end)
    for _, opts in ipairs { { stride = 0 }, { padding = -1 }, { dilation = 0 }, { groups = 0 }, { dtype = "int64" } } do
      expect.error("", function() nn.Conv2d(1, 1, 3, opts) end)
    end
    expect.error("", function() nn.Conv2d(1 << 40, 1 << 40, 1 << 40) end)
    expect.error("below 2^31", function() nn.Conv2d(1, 1, 1, { stride = 1 << 40 })(sonde.ones(1, 1, 2, 2)) end)
    local m = nn.Conv2d(2, 1, 3)
    expect.error("Conv2d: conv2d: expected 2 input channels, got input [1, 3, 5, 5]",
      function() m(sonde.ones(1, 3, 5, 5)) end)
    expect.error("Conv2d: expected an input [N, C, H, W] or [C, H, W], got [5, 5]", function() m(sonde.ones(5, 5)) end)
    expect.error("the kernel reaches over 3, the padded input has only 2", function() m(sonde.ones(1, 2, 2, 5)) end)
    expect.error("one float dtype, got float64 and float32",
      function() m(sonde.ones(1, 2, 5, 5, { dtype = "float64" })) end)
    expect.error("expected an input [N, C, L] or [C, L], got [5]", function() nn.Conv1d(2, 1, 3)(sonde.ones(5)) end)
    expect.error("padding 'same' needs stride 1, got 1 and 2",
      function() nn.Conv2d(1, 1, 3, { padding = "same", stride = { 1, 2 } }) end)
    expect.error("bad argument 'padding' to nn.Conv1d", function() nn.Conv1d(1, 1, 3, { padding = "full" }) end)
    expect.error("bad argument 'padding_mode' to nn.Conv2d",
      function() nn.Conv2d(1, 1, 3, { padding_mode = "wrap" }) end)
    expect.error("too large", function() nn.Conv1d(1, 1, 1 << 40, { padding = "same", dilation = 1 << 40 }) end)
    expect.error("pad: reflect cannot add 2 and 2 to the 2 elements of axis 3",
      function() nn.Conv1d(1, 1, 1, { padding = 2, padding_mode = "reflect" })(sonde.ones(1, 1, 2)) end)
    expect.error("pad: circular cannot add 3 and 3 to the 2 elements of axis 4",
      function() nn.Conv2d(1, 1, 1, { padding = { 0, 3 }, padding_mode = "circular" })(sonde.ones(1, 1, 5, 2)) end)
    expect.error("pad: replicate",
      function() nn.Conv1d(1, 1, 1, { padding = 1, padding_mode = "replicate" })(sonde.ones(1, 1, 0)) end)
    expect.error("output_padding 2 must be smaller than stride or dilation (2)",
      function() nn.ConvTranspose2d(1, 1, 3, { stride = 2, output_padding = 2 })(sonde.ones(1, 1, 3, 3)) end)
  end)
end)

describe("pooling", function()
  it("takes the largest, or the mean", function()
    local x = sonde.tensor { { { 1, 5, 2, 4, 3 } } }
    expect.values({ { { 5, 4 } } }, nn.MaxPool1d(2)(x))
    expect.values({ { { 5, 4, 3 } } }, nn.MaxPool1d(2, { ceil_mode = true })(x))
    expect.values({ { { 2, 5, 3 } } }, nn.MaxPool1d(3, { stride = 1, dilation = 1 })(x):sub(
      sonde.tensor { { { 3, 0, 1 } } }))
    expect.values({ { { 3, 3 } } }, nn.AvgPool1d(2)(x))
    expect.values({ { { 2, 11 / 3, 7 / 3 } } }, nn.AvgPool1d(3, { stride = 2, padding = 1 })(x))
    expect.values({ { { 3, 11 / 3, 3.5 } } },
      nn.AvgPool1d(3, { stride = 2, padding = 1, count_include_pad = false })(x))
    local square = sonde.linspace(1, 16, 16):reshape(1, 1, 4, 4)
    expect.values({ { { { 6, 8 }, { 14, 16 } } } }, nn.MaxPool2d(2)(square))
    expect.values({ { { { 8 }, { 16 } } } }, nn.MaxPool2d({ 2, 4 })(square))
    expect.values({ { { { 8.5 } } } }, nn.AdaptiveAvgPool2d(1)(square))
    expect.values({ { { { 8 }, { 16 } } } }, nn.AdaptiveMaxPool2d { 2, 1 }(square))
    expect.values({ { { 8 }, { 16 } } }, nn.AdaptiveMaxPool2d { 2, 1 }(square[1]))
    expect.values({ { { 8 / 3, 11 / 3, 3 } } },
      nn.AdaptiveAvgPool1d(3)(x):add(sonde.tensor { { { -1 / 3, 0, -1 / 2 } } }))
    assert.equal("AdaptiveMaxPool1d(output_size=3)", tostring(nn.AdaptiveMaxPool1d(3)))
    assert.is_true(nn.MaxPool1d(2)(sonde.tensor { { { 1, 0 / 0 } } }):ne(0):item() == 1)
    assert.equal("MaxPool2d(kernel_size={2, 2}, stride={2, 2}, padding={0, 0}, dilation={1, 1})",
      tostring(nn.MaxPool2d(2)))
    assert.equal("AvgPool1d(kernel_size=3, stride=1, padding=0, ceil_mode=true)",
      tostring(nn.AvgPool1d(3, { stride = 1, ceil_mode = true })))
  end)

  it("passes gradcheck", function()
    for _, m in ipairs {
      nn.MaxPool2d(2), nn.MaxPool2d({ 3, 2 }, { stride = { 1, 2 }, padding = 1 }),
      nn.MaxPool2d(2, { dilation = 2, stride = 1 }), nn.MaxPool2d(3, { stride = 2, ceil_mode = true }),
      nn.AvgPool2d(2), nn.AvgPool2d(3, { stride = 2, padding = 1 }),
      nn.AvgPool2d(3, { stride = 2, padding = 1, ceil_mode = true, count_include_pad = false }),
      nn.AdaptiveAvgPool2d { 2, 4 }, nn.AdaptiveMaxPool2d(3), nn.AdaptiveAvgPool2d(7),
    } do
      check(m, randn(2, 2, 6, 5))
    end
    check(nn.MaxPool1d(2), randn(2, 3, 7))
    check(nn.AvgPool1d(3, { padding = 1 }), randn(2, 3, 7))
    check(nn.AdaptiveAvgPool1d(4), randn(3, 7))
    check(nn.AdaptiveMaxPool1d(3), randn(2, 3, 7))
    check(nn.MaxPool2d(2), randn(2, 4, 5))
  end)

  it("checks its arguments", function()
    expect.error("padding must be between 0 and half the kernel (1), got 2",
      function() nn.MaxPool2d(2, { padding = 2 }) end)
    expect.error("'kernel_size' to nn.AvgPool2d", function() nn.AvgPool2d() end)
    expect.error("expected at least 1, got 0", function() nn.MaxPool1d(0) end)
    expect.error("expected at least 1, got -1", function() nn.AdaptiveAvgPool2d(-1) end)
    expect.error("AvgPool1d: expected an input [N, C, L] or [C, L], got [3]",
      function() nn.AvgPool1d(2)(sonde.ones(3)) end)
    expect.error("adaptive_max_pool2d: expected an input [N, C, H, W] or [C, H, W], got [5, 5]",
      function() nn.AdaptiveMaxPool2d(1)(sonde.ones(5, 5)) end)
    expect.error(
      "bad argument 'output_size' to nn.AdaptiveAvgPool1d: expected a number or a list of 1, got a list of 2",
      function() nn.AdaptiveAvgPool1d { 1, 2 } end)
    expect.error("a window of 3 does not fit into the padded input of 2",
      function() nn.MaxPool2d(3)(sonde.ones(1, 1, 2, 2)) end)
    expect.error("expected a float tensor, got int64",
      function() nn.MaxPool2d(1)(sonde.ones(1, 1, 2, 2, { dtype = "int64" })) end)
    expect.error("the input is empty", function() nn.AdaptiveMaxPool2d(1)(sonde.zeros(1, 1, 0, 3)) end)
    expect.error("", function() nn.AdaptiveAvgPool2d(1 << 40)(sonde.ones(1, 1, 2, 2)) end)
    expect.error("below 2^31", function() nn.MaxPool2d(1 << 40) end)
    expect.shape({ 0, 2, 1, 1 }, nn.MaxPool2d(2)(sonde.zeros(0, 2, 2, 3)))
  end)
end)

it("probes measure a convolutional network", function()
  local net = nn.Sequential { nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2) }
  local probe <close> = sonde.probe.attach(net)
  net(sonde.randn(8, 1, 8, 8)):square():mean():backward()
  probe:step()
  local row = probe:last()
  assert.is_true(row.weight_grad["1.weight"].l2_norm > 0 and row.activation_grad["3"].l2_norm > 0)
  assert.is_true(row.activation["2"].slope_rms > 0 and row.activation["2"].slope_rms < 1)
end)
