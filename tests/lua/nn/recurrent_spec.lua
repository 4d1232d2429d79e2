--- RNN, LSTM, GRU and their cells: names, shapes, options, lengths, and what they refuse.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn

local function names(m)
  local list = {}
  for name, p in m:named_parameters() do list[#list + 1] = name .. " " .. table.concat(p:shape(), "x") end
  return list
end

local function random(...) return sonde.randn({ ... }, { dtype = "float64" }) end

-- Bit for bit.
local function same(a, b) assert.is_true(a:equal(b)) end

local KINDS = { "RNN", "LSTM", "GRU" }

describe("recurrent layers", function()
  it("have PyTorch's parameters, drawn from U(±1/√H)", function()
    assert.same({ "weight_ih_l0 16x3", "weight_hh_l0 16x4", "bias_ih_l0 16", "bias_hh_l0 16" }, names(nn.LSTM(3, 4)))
    assert.same({
      "weight_ih_l0 12x3", "weight_hh_l0 12x4", "weight_ih_l0_reverse 12x3", "weight_hh_l0_reverse 12x4",
      "weight_ih_l1 12x8", "weight_hh_l1 12x4", "weight_ih_l1_reverse 12x8", "weight_hh_l1_reverse 12x4",
    }, names(nn.GRU(3, 4, 2, { bias = false, bidirectional = true })))
    assert.same({ "weight_ih 4x3", "weight_hh 4x4", "bias_ih 4", "bias_hh 4" }, names(nn.RNNCell(3, 4)))
    local rnn = nn.RNN(30, 100)
    for _, p in ipairs(rnn:parameters()) do
      assert.is_true(p:abs():max():item() <= 0.1 and p:abs():max():item() > 0.09)
    end
    assert.equal("LSTM(3, 4, num_layers=2, dropout=0.5, peepholes=true)",
      tostring(nn.LSTM(3, 4, 2, { dropout = 0.5, peepholes = true })))
  end)

  it("start an LSTM's forget gate where forget_bias says", function()
    local lstm = nn.LSTM(2, 3, { forget_bias = 1, num_layers = 2, bidirectional = true })
    for _, suffix in ipairs { "_l0", "_l1_reverse" } do
      local total = lstm["bias_ih" .. suffix] + lstm["bias_hh" .. suffix]
      expect.values({ 1, 1, 1 }, total[{ { 4, 6 } }]:detach(), 0)
    end
    expect.error("forget_bias needs bias", function() nn.LSTM(2, 3, { forget_bias = 1, bias = false }) end)
  end)

  for _, kind in ipairs(KINDS) do
    it(kind .. " gives output and final states, batch first or last, or of one sequence", function()
      local m = nn[kind](3, 4, { num_layers = 2, bidirectional = true, dtype = "float64" })
      local x = random(5, 2, 3)
      local y, h, c = m(x)
      expect.shape({ 5, 2, 8 }, y)
      expect.shape({ 4, 2, 4 }, h)
      if kind == "LSTM" then expect.shape({ 4, 2, 4 }, c) else assert.is_nil(c) end
      same(y[5][{ {}, { 1, 4 } }], h[3]) -- the last layer's final states, forward and reverse
      same(y[1][{ {}, { 5, 8 } }], h[4])
      local first = nn[kind](3, 4, { num_layers = 2, bidirectional = true, batch_first = true, dtype = "float64" })
      first:load_state_dict(m:state_dict())
      same(y, (first(x:transpose(1, 2)):transpose(1, 2)))
      local alone, alone_h = m(x:select(2, 2))
      expect.shape({ 5, 8 }, alone)
      expect.shape({ 4, 4 }, alone_h)
      expect.values(y:select(2, 2):detach():totable(), alone:detach(), 1e-14)
    end)

    it(kind .. " goes on from the states it gave", function()
      local m, x = nn[kind](3, 4, { num_layers = 2, dtype = "float64" }), random(7, 2, 3)
      local whole = m(x)
      local head = table.pack(m(x[{ { 1, 3 } }]))
      local tail = m(x[{ { 4, 7 } }], head[2], head[3])
      same(whole, sonde.cat({ head[1], tail }, 1))
    end)

    it(kind .. " takes a cell's steps", function()
      local m, cell, x = nn[kind](3, 4), nn[kind .. "Cell"](3, 4), sonde.randn(5, 2, 3)
      for _, name in ipairs { "weight_ih", "weight_hh", "bias_ih", "bias_hh" } do cell[name] = m[name .. "_l0"] end
      local y, h, c = m(x), nil, nil
      for t = 1, 5 do
        h, c = cell(x[t], h, c)
        expect.values(y[t]:detach():totable(), h:detach(), 1e-6)
      end
      expect.shape({ 4 }, (cell(x[1][1])))
    end)

    it(kind .. " in reverse is one that reads the sequence backwards", function()
      local steps, batch = 40, 20 -- more than one chunk of the backward pass
      local both = nn[kind](3, 4, { bidirectional = true, dtype = "float64" })
      local forward = nn[kind](3, 4, { dtype = "float64" })
      for _, name in ipairs { "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0" } do
        sonde.no_grad(function() forward[name]:copy_(both[name .. "_reverse"]) end)
      end
      local backwards = sonde.arange(steps, 0, -1, { dtype = "int64" })
      local x, weight = random(steps, batch, 3), random(steps, batch, 4)
      local reversed = (both(x))[{ {}, {}, { 5, 8 } }]
      local turned = (forward(x:index_select(1, backwards))):index_select(1, backwards)
      expect.values(turned:detach():totable(), reversed:detach(), 1e-14)
      ;(reversed * weight):sum():backward()
      ;(turned * weight):sum():backward()
      for name, p in forward:named_parameters() do
        expect.values(p.grad:totable(), both[name .. "_reverse"].grad, 1e-11)
        assert.equal(0, both[name].grad:abs():max():item())
      end
    end)

    it(kind .. " with lengths does as if each sequence were alone, whatever lies beyond", function()
      local m = nn[kind](3, 4, { num_layers = 2, bidirectional = true, dtype = "float64" })
      local x, lengths = random(6, 3, 3), { 6, 1, 4 }
      local h0 = random(4, 3, 4)
      local rest = kind == "LSTM" and { random(4, 3, 4) } or {}
      local padded = x:clone()
      for b = 1, 3 do
        for t = lengths[b] + 1, 6 do padded[t][b]:fill_(0 / 0) end
      end
      rest[#rest + 1] = sonde.tensor(lengths, { dtype = "int64" })
      local y, h = m(padded, h0, table.unpack(rest))
      ;(y:sum() + h:sum() * 2):backward()
      local together = {}
      for name, p in m:named_parameters() do together[name], p.grad = p.grad, nil end
      for b = 1, 3 do
        local function of(t) return t[{ {}, { b, b } }] end
        local alone, alone_h = m(of(x)[{ { 1, lengths[b] } }], of(h0), kind == "LSTM" and of(rest[1]) or nil)
        expect.values(alone:detach():totable(), of(y)[{ { 1, lengths[b] } }]:detach(), 1e-14)
        expect.values(alone_h:detach():totable(), of(h):detach(), 1e-14)
        if lengths[b] < 6 then assert.equal(0, y[{ { lengths[b] + 1, 6 }, b }]:abs():max():item()) end
        ;(alone:sum() + alone_h:sum() * 2):backward()
      end
      for name, p in m:named_parameters() do expect.values(p.grad:totable(), together[name], 1e-12) end
    end)
  end

  it("have the same bits with a hook on dL/dh_t, and with a batch that is retained", function()
    for _, kind in ipairs(KINDS) do
      local m, x, seen = nn[kind](3, 8, { bidirectional = true, num_layers = 2 }), sonde.randn(9, 4, 3), 0
      local function gradients(retain)
        m:zero_grad()
        local loss = (m(x) ^ 2):sum()
        loss:backward(nil, retain)
        return m:parameters()[1].grad:clone(), m:parameters()[#m:parameters()].grad:clone()
      end
      local first, last = gradients()
      local handle = m:register_hidden_grad_hook(function(gradient, where)
        seen = seen + 1
        expect.shape({ 4, 8 }, gradient)
        assert.is_true(where.step >= 1 and where.step <= 9 and where.layer >= 1 and where.layer <= 2)
      end)
      local again, last_again = gradients()
      same(first, again)
      same(last, last_again)
      assert.equal((kind == "LSTM" and 2 or 1) * 9 * 4, seen)
      handle:remove()
      gradients()
      assert.equal((kind == "LSTM" and 2 or 1) * 9 * 4, seen)
    end
    expect.error("Linear is no recurrent layer", function() nn.Linear(1, 1):register_hidden_grad_hook(print) end)
    local m = nn.GRU(2, 2)
    m:register_hidden_grad_hook(function() error "from the hook" end)
    local loss = m(sonde.ones(3, 1, 2)):sum()
    assert.error_matches(function() loss:backward() end, "from the hook")
  end)

  it("clip dL/dh_t to a norm on its way back", function()
    sonde.manual_seed(4)
    local function norms(clip)
      local m = nn.RNN(2, 6, { nonlinearity = "linear", clip_hidden_grad = clip, dtype = "float64" })
      sonde.no_grad(function() m.weight_hh_l0:copy_(sonde.eye(6, { dtype = "float64" }) * 2) end)
      local list = {}
      m:register_hidden_grad_hook(function(g) list[#list + 1] = g:norm():item() end)
      local _, h = m(sonde.zeros(5, 3, 2, { dtype = "float64" }))
      ;(h:sum() * 0.01):backward()
      return list
    end
    local start = 0.01 * math.sqrt(18)
    expect.values({ start, 2 * start, 4 * start, 8 * start, 16 * start }, norms(nil), 1e-12)
    expect.values({ start, 2 * start, 0.1, 0.1, 0.1 }, norms(0.05), 1e-12) -- seen before it is clipped
  end)

  it("drop out between layers, and in time as said", function()
    sonde.manual_seed(2)
    local m = nn.RNN(3, 50, { num_layers = 2, dropout = 0.5, variational = true, nonlinearity = "linear" })
    sonde.no_grad(function()
      m.weight_ih_l1:copy_(sonde.eye(50))
      for _, name in ipairs { "weight_hh_l1", "bias_ih_l1", "bias_hh_l1" } do m[name]:zero_() end
    end)
    local x = sonde.randn(6, 2, 3)
    local dropped = m(x):eq(0)
    same(dropped[1], dropped[6])
    local share = dropped:to("float32"):mean():item()
    assert.is_true(share > 0.3 and share < 0.7)
    same(m:eval()(x), m(x))
    assert.equal(0, m(x):eq(0):sum():item())
    local recurrent = nn.GRU(3, 4, { recurrent_dropout = 0.5 })
    assert.is_false(recurrent(x):equal(recurrent(x)))
    same(recurrent:eval()(x), recurrent(x))
  end)

  it("refuse what does not fit, naming it", function()
    local m = nn.LSTM(3, 4)
    local x = sonde.ones(5, 2, 3)
    local function int(...) return sonde.tensor({ ... }, { dtype = "int64" }) end
    expect.error("LSTM: expected input [steps, batch, 3] or [steps, 3], got [5, 2, 4]",
      function() m(sonde.ones(5, 2, 4)) end)
    expect.error("expected input [batch, 3] or [3], got [5, 2, 3]", function() nn.GRUCell(3, 4)(x) end)
    expect.error("at least one step and one sample, got [5, 0, 3]", function() m(sonde.ones(5, 0, 3)) end)
    expect.error("got [0, 2, 3]", function() m(sonde.ones(0, 2, 3)) end)
    expect.error("'lstm' takes a float tensor, got int64", function() m(sonde.ones(5, 2, 3, { dtype = "int64" })) end)
    expect.error("weight_ih is float32", function() m(x:to("float64")) end)
    expect.error("expected h0 [1, 2, 4], got [2, 4]", function() m(x, sonde.ones(2, 4)) end)
    expect.error("expected c0 [1, 2, 4], got [1, 3, 4]", function() m(x, nil, sonde.ones(1, 3, 4)) end)
    expect.error("expected lengths [2], got [3]", function() m(x, nil, nil, int(1, 2, 3)) end)
    expect.error("lengths: 6 of sequence 2 is outside 1..5", function() m(x, nil, nil, int(5, 6)) end)
    expect.error("lengths: 0 of sequence 1 is outside 1..5", function() m(x, nil, nil, int(0, 5)) end)
    expect.error("lengths is float32, expected int64", function() m(x, nil, nil, sonde.ones(2)) end)
    expect.error("takes at most 4 arguments, got 5", function() m(x, x, x, x, x) end)
    expect.error("expected at least 1, got 0", function() nn.RNN(3, 0) end)
    expect.error("expected at least 1, got -2", function() nn.RNN(3, 4, { num_layers = -2 }) end)
    expect.error("expected one of tanh, relu, linear", function() nn.RNN(3, 4, { nonlinearity = "sigmoid" }) end)
    expect.error("unknown option 'nonlinearity'", function() nn.LSTM(3, 4, { nonlinearity = "relu" }) end)
    expect.error("dropout must be between 0 and 1, got 1.5", function() nn.GRU(3, 4, { dropout = 1.5 }) end)
    expect.error("leak must be above 0 and at most 1, got 0", function() nn.RNN(3, 4, { leak = 0 }) end)
    expect.error("clip_hidden_grad must not be negative", function() nn.RNN(3, 4, { clip_hidden_grad = -1 }) end)
    expect.error("int64", function() nn.RNN(3, 4, { dtype = "int64" }) end)
    expect.error("hidden_size", function() nn.RNN(3, 1 << 40) end)
    expect.no_leak(core, function() pcall(nn.LSTM, 1 << 40, 1 << 30, { num_layers = 3 }) end)
  end)
end)
