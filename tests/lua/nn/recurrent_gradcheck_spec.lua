--- Gradients of the recurrent layers against differences, with every option, initial states and lengths.
local sonde = require "sonde"
local nn = sonde.nn

local STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 2, 5

local function random(...) return (sonde.randn({ ... }, { dtype = "float64" }) * 0.7):requires_grad_() end

-- Everything a layer has drawn at random, the constants too.
local function scatter(m)
  sonde.no_grad(function()
    for _, p in ipairs(m:parameters()) do p:copy_(sonde.randn(p:shape(), { dtype = "float64" }) * 0.5) end
  end)
  return m
end

local function make(kind, options)
  options.dtype = "float64"
  return scatter(nn[kind](INPUTS, HIDDEN, options))
end

local function check(m, inputs, call)
  local leaves = { table.unpack(inputs) }
  for _, p in ipairs(m:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(call, leaves))
end

describe("gradcheck of", function()
  local cases = {
    { "RNN" }, { "RNN", nonlinearity = "relu" }, { "RNN", nonlinearity = "linear", bias = false },
    { "RNN", leak = 0.3 }, { "RNN", bidirectional = true, leak = 0.6 }, { "RNN", recurrent_dropout = 0.4 },
    { "LSTM" }, { "LSTM", bidirectional = true, peepholes = true }, { "LSTM", peepholes = true, bias = false },
    { "LSTM", activation = "relu" }, { "LSTM", layer_norm = true },
    { "LSTM", layer_norm = true, peepholes = true }, { "LSTM", layer_norm = true, bidirectional = true, bias = false },
    { "LSTM", recurrent_dropout = 0.4 }, { "LSTM", num_layers = 2, batch_first = true },
    { "GRU" }, { "GRU", reset_after = false }, { "GRU", bidirectional = true, bias = false },
    { "GRU", reset_after = false, bidirectional = true }, { "GRU", recurrent_dropout = 0.4 },
    { "GRU", reset_after = false, recurrent_dropout = 0.4 }, { "GRU", reset_after = false, bias = false },
  }
  for _, options in ipairs(cases) do
    local kind = table.remove(options, 1)
    local words = { kind }
    for name, value in pairs(options) do words[#words + 1] = name .. "=" .. tostring(value) end
    table.sort(words)
    for _, what in ipairs { "", ", initial states", ", lengths", ", lengths and initial states" } do
      it(table.concat(words, " ") .. what, function()
        sonde.manual_seed(3)
        local m, lstm = make(kind, options), kind == "LSTM"
        local n = (options.num_layers or 1) * (options.bidirectional and 2 or 1)
        local x = options.batch_first and random(BATCH, STEPS, INPUTS) or random(STEPS, BATCH, INPUTS)
        local inputs = { x }
        local h0 = what:find "states" and random(n, BATCH, HIDDEN) or nil
        local c0 = h0 and lstm and random(n, BATCH, HIDDEN) or nil
        if h0 then inputs[#inputs + 1] = h0 end
        if c0 then inputs[#inputs + 1] = c0 end
        local lengths = what:find "lengths" and sonde.tensor({ 4, 1, 3 }, { dtype = "int64" }) or nil
        check(m, inputs, function()
          sonde.manual_seed(5)
          local same = make(kind, options) -- its dropout draws the same mask every time
          for name, p in m:named_parameters() do same[name] = p end
          if lstm then return same(x, h0, c0, lengths) end
          return same(x, h0, lengths)
        end)
      end)
    end
  end
end)
