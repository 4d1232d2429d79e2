--- A recipe whose file has every group there is: its network has recurrent layers, a skip and a normalisation.
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local Net = nn.Module:extend "Net"

function Net:init()
  self.rnn = nn.LSTM(3, 6, { batch_first = true })
  self.first = nn.Linear(6, 8)
  self.norm = nn.LayerNorm(8)
  self.act = nn.Tanh()
  self.block = nn.Residual(nn.Sequential { nn.Linear(8, 8), nn.Tanh() })
  self.out = nn.Linear(8, 3)
end

function Net:forward(x)
  local last = self.rnn(x):select(2, -1)
  return self.out(self.block(self.act(self.norm(self.first(last)))))
end

return {
  name = "every-group",
  about = "Which groups can a file have?",
  params = { steps = 12 },
  run = function(p, run)
    local train = data.tensors { sonde.randn(64, 5, 3), sonde.randint(1, 3, { 64 }) }
    local net = run:model(Net())
    run:probe(net, {
      what = {
        "weight_grad", "activation_grad", "activation", "weight", "weight_grad_hist", "activation_grad_hist",
        "hidden_grad", "hidden_jacobian", "gate", "gain", "skip", "weight_drift",
        gradient_noise = { every = 4 }, hessian = { every = 4 }, jacobian = { every = 4 }, lyapunov = { every = 4 },
      },
    })
    run:fit {
      model = net, loss = nn.CrossEntropyLoss(), optimizer = run:optimizer(optim.SGD(net:parameters(), { lr = 0.1 })),
      train = train, valid = train, batch_size = 16, steps = p.steps, probe = false,
    }
    run:event "größe"
    run:note("teacher", "none")
    run:save("w", net.first.weight)
    return { answer = 42 }
  end,
}
