--- Small trainings, ill and healthy, for the detectors: each is a recipe that is run, written to a file and diagnosed.
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local zoo = { default_steps = 150 }

local images

--- Standardised Fashion-MNIST as rows of 784.
function zoo.images()
  images = images or data.fashion_mnist { split = "train", normalize = true }
  return images:subset(4096)
end

--- A regression on `n` points: the sine of a projection of `features` normal numbers.
function zoo.sine(n, features, scale)
  sonde.manual_seed(3)
  local x = sonde.randn(n, features)
  local y = (x:matmul(sonde.randn(features, 1)) / math.sqrt(features)):sin() * (scale or 1)
  return data.tensors { x, y }
end

--- options: depth, width, inputs, outputs, activation (class), init(weight), bias, norm (class), skip (scale of the
--- branch), first = function(net). Weight layers are h1..hL and out, activations a1..aL, blocks b1..bL.
function zoo.mlp(options)
  local net = nn.Sequential { nn.Flatten() }
  local width = options.width or 64
  local function linear(inputs, outputs)
    local layer = nn.Linear(inputs, outputs)
    if options.init then options.init(layer.weight) end
    nn.init.constant_(layer.bias, options.bias or 0)
    return layer
  end
  local activation = options.activation or nn.ReLU
  for i = 1, options.depth do
    local layer = linear(i == 1 and options.inputs or width, width)
    if options.skip and i > 1 then
      local branch = nn.Sequential {}
      if options.norm then branch:add("n", options.norm(width)) end
      branch:add("a", activation())
      branch:add("h", layer)
      net:add("b" .. i, nn.Residual(branch, { scale = options.skip }))
    else
      net:add("h" .. i, layer)
      if options.norm then net:add("n" .. i, options.norm(width)) end
      if not options.skip then net:add("a" .. i, activation()) end
      if options.dropout then net:add(nn.Dropout(options.dropout)) end
    end
  end
  local out = linear(width, options.outputs or 10)
  nn.init.constant_(out.bias, 0)
  net:add("out", out)
  return net
end

zoo.inits = {
  he = function(w) nn.init.kaiming_normal_(w, { nonlinearity = "relu" }) end,
  glorot = nn.init.xavier_uniform_,
  lecun = nn.init.lecun_normal_,
  orthogonal = nn.init.orthogonal_,
}

--- PyTorch's: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
function zoo.inits.default(w) nn.init.uniform_(w, -1 / math.sqrt(w:size(2)), 1 / math.sqrt(w:size(2))) end

--- N(0, s^2 / fan_in)
function zoo.normal(s)
  return function(w) nn.init.normal_(w, 0, s / math.sqrt(w:size(2))) end
end

--- A case's `net`: mlp(options); on images.
function zoo.net(options)
  return function() return zoo.mlp(options) end
end
function zoo.images_net(options)
  options.inputs = 784
  return zoo.net(options)
end

--- A case's `net`: convolutions c1..cL of 8 channels on images of 7x7, their weights N(0, scale² / fan_in).
function zoo.conv_net(depth, scale, activation)
  return function()
    local network = nn.Sequential {}:add("pool", nn.AvgPool2d(4))
    for i = 1, depth do
      local layer = nn.Conv2d(i == 1 and 1 or 8, 8, 3, { padding = 1 })
      nn.init.normal_(layer.weight, 0, scale / math.sqrt(layer.weight:size(2) * 9))
      nn.init.zeros_(layer.bias)
      network:add("c" .. i, layer):add("a" .. i, activation())
    end
    return network:add("flat", nn.Flatten()):add("out", nn.Linear(8 * 49, 10))
  end
end

--- The network of `make` with fn(net) applied.
function zoo.changed(make, fn)
  return function()
    local network = make()
    sonde.no_grad(function() fn(network) end)
    return network
  end
end

--- A case's `during`: fn(net, optimizer) before step `at`.
function zoo.once(at, fn)
  return function(step, network, optimizer)
    if step == at then sonde.no_grad(function() fn(network, optimizer) end) end
  end
end

--- A case's `optimizer`: optim[name] with these options.
function zoo.optimizer(name, options)
  return function(parameters) return optim[name](parameters, options) end
end

function zoo.adam(lr) return zoo.optimizer("Adam", { lr = lr }) end

--- SGD in which the parameter `name` ("h2.weight") has `factor` times the learning rate of the others.
function zoo.one_rate(name, factor, lr, class)
  return function(_, net)
    local rest, one = {}, nil
    for path, p in net:named_parameters() do
      if path == name then one = p else rest[#rest + 1] = p end
    end
    return optim[class or "SGD"]({ { params = rest, lr = lr }, { params = { one }, lr = lr * factor } }, { lr = lr })
  end
end

--- Runs a case { net = function(), data = function(), loss =, optimizer = function(parameters, net), steps =,
--- batch_size =, clip =, dtype =, probe = options, forward = function(net, x, step),
--- during = function(step, net, optimizer) } and returns its diagnosis. folder: a temporary one.
function zoo.diagnose(case, folder)
  local path = folder / "run.h5"
  local recipe = {
    name = "zoo",
    run = function(_, run)
      local net, set = case.net(), case.data()
      if case.dtype then
        net:to(case.dtype)
        local targets = set.targets
        set = data.tensors { set.inputs:to(case.dtype), targets.dtype == "int64" and targets or targets:to(case.dtype) }
      end
      net = run:model(net)
      local loss_fn = case.loss or nn.CrossEntropyLoss()
      local opt = run:optimizer(case.optimizer and case.optimizer(net:parameters(), net)
        or optim.SGD(net:parameters(), { lr = case.lr or 0.05, momentum = case.momentum or 0 }))
      run:probe(net, case.probe or {})
      local step = 0
      for x, y in run:batches(set, { batch_size = case.batch_size or 64, steps = case.steps or zoo.default_steps }) do
        step = step + 1
        if case.during then case.during(step, net, opt) end
        opt:zero_grad()
        local loss = loss_fn(case.forward and case.forward(net, x, step) or net(x), y)
        loss:backward()
        if case.clip then nn.utils.clip_grad_norm_(net:parameters(), case.clip) end
        opt:step()
        run:log { loss = loss:item() }
      end
    end,
  }
  local ok, message = sonde.run(recipe, { out = path, force = true, seed = case.seed or 1, quiet = true })
  local report, trouble = require "sonde.diagnose".file(path)
  os.remove(path)
  return report, trouble or (not ok and message)
end

return zoo
