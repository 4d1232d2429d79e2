--- Wrong arguments that once were, or would easily be, a crash or a riddle. (Random ones: fuzz_spec.lua.)
local core = require "sonde.core"
local expect = require "support.expect"
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local function int64(values) return sonde.tensor(values, { dtype = "int64" }) end

describe("a clear error", function()
  it("for an unknown option lists those there are, everywhere", function()
    local p = { nn.Parameter(sonde.ones(2)) }
    for _, case in ipairs {
      { "nn.Linear: unknown option 'zzzz'; there are: in_features, out_features", nn.Linear, 2, 2 },
      { "CrossEntropyLoss: unknown option 'zzzz'; there are: weight, ", nn.CrossEntropyLoss },
      { "optim.Adam: unknown option 'zzzz'; there are: lr, betas", optim.Adam, p },
      { "StepLR: unknown option 'zzzz'; there are: step_size, ", optim.lr_scheduler.StepLR, optim.SGD(p), 2 },
      { "data.blobs: unknown option 'zzzz'; there are: n, classes", data.blobs },
      { "linalg.norm: unknown option 'zzzz'; there are: ord, dim", sonde.linalg.norm, sonde.ones(2) },
      { "sonde.zeros: unknown option 'zzzz'; there are: dtype, ", sonde.zeros, 2 },
      { "Tensor:sum: unknown option 'zzzz'; there are: dim, ", sonde.ones(2).sum, sonde.ones(2) },
      { "nn.init.normal_: unknown option 'zzzz'; there are: tensor, ", nn.init.normal_, sonde.ones(2) },
      { "clip_grad_norm_: unknown option 'zzzz'; there are: parameters, ", nn.utils.clip_grad_norm_, p, 1 },
    } do
      local arguments = table.move(case, 3, 4, 1, {})
      arguments[#arguments + 1] = { zzzz = 1 }
      expect.error(case[1], function() case[2](table.unpack(arguments)) end)
    end
  end)

  it("for labels that are none", function()
    local x, loss = sonde.rand(2, 3), nn.CrossEntropyLoss()
    for _, case in ipairs {
      { "label 0 at position 1: class labels count from 1 to 3", int64 { 0, 3 } },
      { "label 4 at position 2", int64 { 1, 4 } },
      { "label -9223372036854775808 at position 1", sonde.tensor({ 0 / 0, 1 }):to("int64") },
      { "class labels must be int64", sonde.tensor { 1, 2 } },
      { "labels [3]", int64 { 1, 2, 3 } },
    } do
      expect.error(case[1], function() loss(x, case[2]) end)
    end
    assert.error_matches(function() int64 { 1, 0 / 0 } end, "%[2%] is a NaN, expected an integer")
    assert.error_matches(function() data.tensors { x, sonde.tensor { 1, 0 / 0 } } end, "target of sample 2 is NaN")
    expect.error("logits [0, 0] are of no class at all", function() loss(sonde.zeros(0, 0), sonde.zeros(0, 0)) end)
  end)

  it("for an empty batch, or a result", function()
    local empty = sonde.zeros(0, 3)
    local mean = nn.CrossEntropyLoss()(empty, sonde.zeros(0, { dtype = "int64" })):item()
    assert.truthy(mean ~= mean)
    local net = nn.Sequential { nn.Linear(3, 2), nn.LayerNorm(2), nn.Softmax() }
    net(empty):sum():backward()
    assert.equal(0.0, net[1].weight.grad:abs():sum():item())
    expect.error("more than one value per channel, got input [0, 3]", function() nn.BatchNorm1d(3)(empty) end)
    expect.error("at least one step and one sample, got [2, 0, 3]", function() nn.LSTM(3, 2)(sonde.zeros(2, 0, 3)) end)
    expect.error("at least one sample", function() data.tensors { empty, sonde.zeros(0) } end)
    expect.error("'max' of no elements", function() empty:max() end)
  end)

  it("for sizes that no memory holds", function()
    local huge = 2 ^ 62 | 0
    for _, fn in ipairs {
      function() sonde.zeros(huge, 4) end, function() sonde.zeros(huge) end, function() nn.Linear(huge, huge) end,
      function() nn.Conv2d(1 << 31, 1 << 31, 3) end, function() nn.LSTM(1 << 31, 1 << 31) end,
      function() sonde.eye(1 << 31) end, function() sonde.ones(3):expand(huge, huge, 3) end,
      function() data.adding { n = 1 << 31, length = 1 << 31 } end, function() sonde.arange(1e18) end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      local clear = false
      for _, text in ipairs { "out of memory", "than can be counted", "at most 16777216", "below 2^31", "too many" } do
        clear = clear or message:find(text, 1, true) ~= nil
      end
      assert.is_true(clear, message)
    end
  end)

  it("for a state_dict with missing or extra names, or one that contains itself", function()
    local net, state = nn.Linear(2, 1), { weight = sonde.ones(1, 2), biass = sonde.ones(1) }
    expect.error("missing: bias; unexpected: biass (did you mean 'bias'?)", function() net:load_state_dict(state) end)
    state.self = state
    expect.error("nested deeper than 100", function() net:load_state_dict(state) end)
    local opt = optim.Adam(net:parameters())
    expect.error("a table with state and param_groups", function() opt:load_state_dict { state = {} } end)
  end)

  it("for a method called with a dot, or on something else", function()
    local net, set = nn.Linear(2, 1), data.tensors { sonde.ones(2, 1), sonde.ones(2) }
    expect.error("Module:parameters: expected Module, got no value (a method is called with a colon)",
      function() net.parameters() end)
    expect.error("Dataset:split: expected Dataset, got 0.5", function() set.split(0.5) end)
    expect.error("Optimizer:add_param_group: expected Optimizer, got table",
      function() optim.SGD(net:parameters()).add_param_group {} end)
  end)

  it("names the kind of a value, not its address", function()
    local set = data.tensors { sonde.ones(2, 1), sonde.ones(2) }
    expect.error("got table", function() set:split({ 1 }) end)
    expect.error("got Tensor", function() nn.EchoStateNetwork(sonde.ones(1), 2, 2) end)
  end)
end)

describe("gradients", function()
  it("do not flow into integers", function()
    local x, whole = sonde.rand(4, { requires_grad = true }), sonde.ones(1, 4, { dtype = "int64" })
    expect.no_leak(core, function()
      whole:copy_(x)
      whole:view(-1):copy_(x)
      assert.is_false(whole.requires_grad)
      assert.equal(0, whole:sum():item())
    end)
  end)

  it("are not asked of a loss's weights", function()
    local weight = sonde.ones(3, { requires_grad = true })
    for _, name in ipairs { "CrossEntropyLoss", "NLLLoss", "MultiMarginLoss" } do
      local loss = nn[name] { weight = weight }
      expect.error("the weight requires a gradient; give it detached", function()
        loss(sonde.rand(2, 3), int64 { 1, 2 })
      end)
    end
  end)
end)
