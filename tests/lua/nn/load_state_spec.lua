--- load_state_dict of networks and optimisers: what fits, and everything that does not.
local expect = require "support.expect"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

describe("load_state_dict", function()
  local function net() return nn.Sequential { nn.Linear(3, 2), nn.BatchNorm1d(2) } end

  it("names everything that is wrong at once, with the nearest names", function()
    local m = net()
    local before = m[1].weight:clone()
    local state = m:state_dict()
    state["1.wieght"], state["1.weight"] = sonde.ones(2, 3), nil
    state["1.bias"], state["2.num_batches_tracked"] = sonde.ones(3), 0.5
    state["2.weight"], state.epoch = 7, 3
    state["2.bias"] = sonde.ones(2)
    local message = expect.error("load_state_dict of Sequential: ", function() m:load_state_dict(state) end)
    assert.truthy(message:find("shapes: 1.bias: expected [2], got [3], "
      .. "2.num_batches_tracked: expected int64, got float64, 2.weight: expected [2], got a number; "
      .. "missing: 1.weight; unexpected: 1.wieght (did you mean '1.weight'?), epoch", 1, true), message)
    assert.truthy(before:equal(m[1].weight))
    assert.equal(0, m[2].bias:sum():item()) -- nothing was copied
  end)

  it("takes groups, numbers for what has no axes, and PyTorch's names", function()
    local m, state = net(), net():state_dict { names = "torch" }
    assert.truthy(state["0.weight"] and state["1.running_var"] and not state["2.weight"])
    local nested = { ["0"] = {}, ["1"] = { num_batches_tracked = 41 } }
    for name, value in pairs(state) do
      local child, own = name:match("(%d).(.+)")
      if own ~= "num_batches_tracked" then nested[child][own] = value + 1 end
    end
    m:load_state_dict(nested, { names = "torch" })
    assert.equal(41, m[2].num_batches_tracked:item())
    assert.truthy(m[1].weight:equal(state["0.weight"] + 1))
    expect.error("count from 0, as PyTorch's do", function() m:load_state_dict(nested) end)
    expect.error("count from 1, as ours do", function() m:load_state_dict(m:state_dict(), { names = "torch" }) end)
    nested["0.weight"] = sonde.ones(2, 3)
    expect.error("'0.weight' is there twice", function() m:load_state_dict(nested, { names = "torch" }) end)
    expect.error("'0.bias' is a string, expected Tensor", function() m:load_state_dict { ["0"] = { bias = "x" } } end)
    expect.error('names can only be "torch"', function() m:state_dict { names = "keras" } end)
  end)

  it("of an optimiser does too, and then changes nothing", function()
    local m = nn.Linear(2, 2)
    local opt = optim.Adam(m:parameters(), { lr = 0.5 })
    m(sonde.ones(1, 2)):sum():backward()
    opt:step()
    local dict, before = opt:state_dict(), opt:state_dict()
    dict.param_groups[1].lr = -1
    dict.state[1].exp_avg, dict.state[1].exp_avgs = nil, sonde.ones(2)
    dict.state[2].exp_avg_sq = sonde.ones(3)
    dict.state[9] = { step = sonde.ones(1) }
    local message = expect.error("load_state_dict of Adam: ", function() opt:load_state_dict(dict) end)
    for _, part in ipairs { "group 1: ", "lr", "parameter 1: Adam has no state 'exp_avgs'; there are: step, exp_avg",
      "parameter 1: state 'exp_avg' is missing", "parameter 2: Adam: the state 'exp_avg_sq' has shape [3]",
      "parameter 9: there is no parameter 9, only 1..2" } do
      assert.truthy(message:find(part, 1, true), part .. " in " .. message)
    end
    assert.same(before.param_groups, opt:state_dict().param_groups)
    for number, entries in ipairs(before.state) do
      for name, value in pairs(entries) do assert.truthy(value:equal(opt:state_dict().state[number][name])) end
    end
    dict = opt:state_dict()
    dict.param_groups[1].params, dict.param_groups[1].rl = { 1 }, 2
    expect.error("group 1 has 1 parameters, expected 2", function() opt:load_state_dict(dict) end)
    dict.param_groups[2] = dict.param_groups[1]
    expect.error("2 parameter groups, expected 1", function() opt:load_state_dict(dict) end)
  end)
end)
