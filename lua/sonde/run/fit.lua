-- run:fit: the usual training loop in one call.
local Run = require "sonde.run.object"
local core = require "sonde.core"
local fail = require "sonde.fail"
local nn = require "sonde.nn"
local optim = require "sonde.optim"
local suggest = require "sonde.suggest"

local names = { "batch_size", "clip", "drop_last", "early_stopping", "epochs", "loss", "model", "on_nonfinite",
                "optimizer", "probe", "scheduler", "scheduler_interval", "shuffle", "steps", "train", "valid" }
local reactions = { continue = true, skip = true, stop = true }

local function check_schedule(options)
  local scheduler, interval = options.scheduler, options.scheduler_interval
  if scheduler ~= nil and not (type(scheduler) == "table" and scheduler.step and scheduler.state_dict) then
    fail("run:fit: scheduler is one of sonde.optim.lr_scheduler, got %s", type(scheduler))
  end
  if interval ~= nil and interval ~= "epoch" and interval ~= "step" then
    fail("run:fit: scheduler_interval: %s", suggest.unknown("choice", interval, { "epoch", "step" }))
  end
  if scheduler and scheduler.needs_metric and (interval == "step" or not options.valid) then
    fail("run:fit: this scheduler goes by the validation loss: it needs valid, and the interval \"epoch\"")
  end
  if options.early_stopping ~= nil then
    if type(options.early_stopping) ~= "table" then
      fail("run:fit: early_stopping is a table such as { patience = 3 }, got %s", type(options.early_stopping))
    end
    if not options.valid then fail("run:fit: early_stopping goes by the validation loss: it needs valid") end
  end
end

local function check(options)
  suggest.check_options("run:fit", options, names)
  for _, name in ipairs { "model", "loss", "optimizer", "train" } do
    if options[name] == nil then fail("run:fit: '%s' is missing", name) end
  end
  if options.clip ~= nil and (type(options.clip) ~= "number" or not (options.clip > 0)) then
    fail("run:fit: clip is the largest norm of the gradient, a number above 0, got %s", tostring(options.clip))
  end
  if options.on_nonfinite ~= nil and not reactions[options.on_nonfinite] then
    fail("run:fit: on_nonfinite: %s", suggest.unknown("choice", options.on_nonfinite, { "continue", "skip", "stop" }))
  end
  check_schedule(options)
end

-- The schedule's and the early stopping's part: after_step(); after_epoch(evaluation or nil), which returns true when
-- the training should end; finish(evaluation), which returns that of the weights that the network has at last.
local function make_followers(self, options, net)
  local scheduler, by_step = options.scheduler, options.scheduler_interval == "step"
  local stopping, best = options.early_stopping and optim.EarlyStopping(net, options.early_stopping), nil
  if scheduler then self:keep("scheduler", scheduler) end
  if stopping then self:keep("early_stopping", stopping) end
  local followers = {}

  function followers.after_step()
    if scheduler and by_step then scheduler:step() end
  end

  function followers.after_epoch(evaluated)
    if scheduler and not by_step then scheduler:step(scheduler.needs_metric and evaluated.loss or nil) end
    if not stopping then return false end
    local stop = stopping:step(evaluated)
    if stopping.best_epoch == stopping.epoch then best = evaluated end
    if stop then
      self:event(("early stopping: the validation %s was best, %g, %d epochs ago"):format(
        stopping.monitor, stopping.best or core.nan, stopping.epoch - (stopping.best_epoch or 0)))
    end
    return stop
  end

  function followers.finish(evaluated)
    return stopping and stopping:restore() and best or evaluated
  end

  return followers
end

-- Probes the model unless it is probed already; fixed samples and costly measures without a loss of their own get the
-- training's.
function Run:probe_fit(options)
  local net, probe = options.model, options.probe
  if type(probe) == "table" then
    self:probe(net, probe)
  elseif probe ~= false and not self.nets[net] and not self.measured[net] then
    if self.step > 0 then
      self:warn("run:fit: this model is not measured: what the file holds was fixed when the first step ended (call "
        .. "run:probe before it)")
    else
      self:probe(net)
    end
  end
  for _, sampled in ipairs(self.samples) do
    if sampled.net == net then sampled.given.loss = sampled.given.loss or options.loss end
  end
  self.measures:give_loss(net, options.loss)
end

-- run:fit{ model =, loss =, optimizer =, train =, valid =, batch_size = 32, epochs = 1 | steps =, shuffle = true,
-- drop_last = false, clip = max_norm, on_nonfinite = "continue"|"skip"|"stop", probe = true | false | { options },
-- scheduler =, scheduler_interval = "epoch"|"step", early_stopping = { patience = 3, restore_best_weights = true, … } }
-- Registers model, optimiser, scheduler and early stopping, and probes the model. With valid it evaluates after every
-- epoch and at the end; returns the evaluation of the weights that the network has at last (nil without valid).
function Run:fit(options)
  check(options)
  local net, optimizer, loss_fn = self:model(options.model), self:optimizer(options.optimizer), options.loss
  if options.on_nonfinite then self.nonfinite.reaction = options.on_nonfinite end
  self:probe_fit(options)
  local plan = { batch_size = options.batch_size or 32, epochs = options.epochs, steps = options.steps,
                 shuffle = options.shuffle, drop_last = options.drop_last }
  local parameters, followers = net:parameters(), make_followers(self, options, net)
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
    if options.clip then nn.utils.clip_grad_norm_(parameters, options.clip) end
    optimizer:step()
    self:log { loss = loss:item() }
    followers.after_step()
    if self.epoch % 1 == 0 then
      evaluate()
      if followers.after_epoch(evaluated) then break end
    end
  end
  evaluate()
  return followers.finish(evaluated)
end

return Run
