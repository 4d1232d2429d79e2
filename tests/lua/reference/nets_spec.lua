--- Whole networks against PyTorch, float64: gradients, per-layer norms as the probe reports them, ten training losses.
local sonde = require "sonde"
local reference = require "support.reference"
local nn, optim = sonde.nn, sonde.optim

local DEPTH = 12

local function build(group, activation)
  local net = nn.Sequential {}
  local state = {}
  for i = 1, DEPTH do
    net:add("h" .. i, nn.Linear(16, 16)):add("a" .. i, activation())
    state["h" .. i .. ".weight"], state["h" .. i .. ".bias"] = group.W[i], group.b[i]
  end
  net:add("out", nn.Linear(16, 5, { bias = false }))
  state["out.weight"] = group.Wo
  net:to("float64")
  net:load_state_dict(state)
  return net
end

for name, activation in pairs { sigmoid_mlp_L12 = nn.Sigmoid, relu_mlp_L12 = nn.ReLU, tanh_mlp_L12 = nn.Tanh } do
  describe("PyTorch's " .. name, function()
    local group, net, labels
    before_each(function()
      group = reference.group("/nets/" .. name)
      net, labels = build(group, activation), group.y + 1
    end)
    it("has the same loss and gradients, and the probe sees their norms", function()
      local probe <close> = sonde.probe.attach(net)
      local loss = nn.CrossEntropyLoss()(net(group.x), labels)
      loss:backward()
      probe:step()
      reference.near("loss", group.loss, loss)
      local row = probe:last()
      for i = 1, DEPTH do
        reference.near("dW" .. i, group.gW[i], net["h" .. i].weight.grad)
        reference.near("db" .. i, group.gb[i], net["h" .. i].bias.grad)
        reference.near("norm" .. i, group.gW_norm[i], row.weight_grad["h" .. i .. ".weight"].l2_norm)
        local delta = row.activation_grad["h" .. i]
        reference.near("delta" .. i, group.delta_rms[i], delta.l2_norm / math.sqrt(delta.n_elements))
      end
      reference.near("dWo", group.gWo, net.out.weight.grad)
    end)
    it("trains alike for ten steps", function()
      local opt = optim.SGD(net:parameters(), { lr = 0.5, momentum = 0.9 })
      for step = 1, 10 do
        opt:zero_grad()
        local loss = nn.CrossEntropyLoss()(net(group.x), labels)
        reference.near("loss " .. step, group["loss_10_steps_sgd_lr.5_mom.9"][step], loss)
        loss:backward()
        opt:step()
      end
      reference.near("Wo", group.Wo_after10, net.out.weight)
    end)
    teardown(reference.close)
  end)
end

describe("PyTorch's rnn_tanh_T30", function()
  it("has the same gradients at every time step", function()
    local group = reference.group("/nets/rnn_tanh_T30")
    local W, U = group.W:clone():requires_grad_(), group.U:clone():requires_grad_()
    local h, grads = sonde.zeros(2, 6, { dtype = "float64" }), {}
    for t = 1, 30 do
      h = (h:matmul(W:t()) + group.x[t]:matmul(U:t())):tanh()
      h:register_hook(function(g) grads[t] = g:clone() end)
    end
    local loss = (h ^ 2):sum()
    loss:backward()
    reference.near("loss", group.loss, loss)
    reference.near("gW", group.gW, W.grad)
    reference.near("gU", group.gU, U.grad)
    for t = 1, 30 do reference.near("gh" .. t, group.gh[t], grads[t]) end
  end)
  teardown(reference.close)
end)
