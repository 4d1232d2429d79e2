-- nn.utils.truncated_bptt: back-propagation through time in chunks (Williams & Peng 1990).
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local tensor = require "sonde.tensor"

-- for output, first, last in nn.utils.truncated_bptt(net, x, { steps = k, states = { h0, c0 }, dim = 1 }) do
-- Calls a recurrent net on k steps of x after the other; each chunk starts from the states the one before ended with,
-- but no gradient flows back into it. `first` and `last` are the chunk's steps; dim is 2 where the net is batch_first.
-- The loop's body computes the chunk's loss and calls backward.
return function(net, x, options)
  local o = suggest.check_options("nn.utils.truncated_bptt", options, { "steps", "states", "dim" })
  if not tensor.is_tensor(x) then fail("nn.utils.truncated_bptt: expected a Tensor to run over, got %s", type(x)) end
  if getmetatable(net) ~= "Module" and type(net) ~= "function" then
    fail("nn.utils.truncated_bptt: expected a recurrent net, got %s", net)
  end
  if o.states ~= nil and type(o.states) ~= "table" then
    fail("nn.utils.truncated_bptt: states are a list of tensors, got %s", o.states)
  end
  local k, dim, states, first = o.steps, o.dim or 1, { table.unpack(o.states or {}, 1, 2) }, 1
  if math.type(k) ~= "integer" or k < 1 then
    fail("nn.utils.truncated_bptt: steps must be an integer of at least 1, got %s", k)
  end
  local length = x:size(dim)
  return function()
    if first > length then return nil end
    local n, begin = math.min(k, length - first + 1), first
    local results = table.pack(net(x:narrow(dim, first, n), table.unpack(states, 1, 2)))
    for i = 2, results.n do
      if not tensor.is_tensor(results[i]) then
        fail("nn.utils.truncated_bptt: a recurrent net returns tensors, output and states; got %s", results[i])
      end
      states[i - 1] = results[i]:detach()
    end
    first = first + n
    return results[1], begin, begin + n - 1
  end
end
