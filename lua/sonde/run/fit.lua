-- run:fit: the usual training loop in one call.
local Run = require "sonde.run.object"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local names = { "batch_size", "clip", "drop_last", "epochs", "loss", "model", "on_nonfinite", "optimizer", "probe",
                "shuffle", "steps", "train", "valid" }
local reactions = { continue = true, skip = true, stop = true }

local function check(options)
  suggest.check_options("run:fit", options, names, 2)
  for _, name in ipairs { "model", "loss", "optimizer", "train" } do
    if options[name] == nil then fail("run:fit: '%s' is missing", name) end
  end
  if options.clip ~= nil and (type(options.clip) ~= "number" or not (options.clip > 0)) then
    fail("run:fit: clip is the largest norm of the gradient, a number above 0, got %s", tostring(options.clip))
  end
  if options.on_nonfinite ~= nil and not reactions[options.on_nonfinite] then
    fail("run:fit: on_nonfinite: %s", suggest.unknown("choice", options.on_nonfinite, { "continue", "skip", "stop" }))
  end
end

-- run:fit{ model =, loss =, optimizer =, train =, valid =, batch_size = 32, epochs = 1 | steps =, shuffle = true,
-- drop_last = false, clip = max_norm, on_nonfinite = "continue"|"skip"|"stop", probe = true | false | { options } }
-- Registers model and optimiser and probes the model. With valid it evaluates after every epoch and at the end; returns
-- the last evaluation (nil without valid).
function Run:fit(options)
  check(options)
  local net, optimizer, loss_fn = self:model(options.model), self:optimizer(options.optimizer), options.loss
  if options.on_nonfinite then self.nonfinite.reaction = options.on_nonfinite end
  if options.probe ~= false then self:probe(net, type(options.probe) == "table" and options.probe or {}) end
  local plan = { batch_size = options.batch_size, epochs = options.epochs, steps = options.steps,
                 shuffle = options.shuffle, drop_last = options.drop_last }
  local utils = require "sonde.nn".utils
  local parameters = net:parameters()
  local evaluated, evaluated_at = nil, nil
  local function evaluate()
    if not options.valid or evaluated_at == self.step then return end
    evaluated = self:evaluate(net, options.valid, { loss = loss_fn })
    evaluated_at = self.step
  end
  for x, y in self:batches(options.train, plan) do
    optimizer:zero_grad()
    local loss = loss_fn(net(x), y)
    loss:backward()
    if options.clip then utils.clip_grad_norm_(parameters, options.clip) end
    optimizer:step()
    self:log { loss = loss:item() }
    if self.epoch % 1 == 0 then evaluate() end
  end
  evaluate()
  return evaluated
end

return Run
