--- run:fit with a schedule and with early stopping.
local sonde = require "sonde"
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
local S = optim.lr_scheduler

-- Fits a small classifier to 60 points (6 steps an epoch); more(run, net, optimizer, options) completes the options.
local function fit(dir, more)
  local found = {}
  runs({ name = "fit", run = function(_, run)
    local x = sonde.randn(60, 2)
    local set = data.tensors { x, x:select(2, 1):gt(0) + 1 }
    local net = nn.Linear(2, 2)
    local opt = optim.SGD(net:parameters(), { lr = 0.5 })
    local options = { model = net, optimizer = opt, loss = nn.CrossEntropyLoss(), train = set, valid = set,
                      batch_size = 10, epochs = 4 }
    more(options, opt)
    found.evaluation, found.net, found.run = run:fit(options), net, run
  end }, { out = dir / "o.h5" })
  return found, function(path) return (assert(h5.read(dir / "o.h5", path))) end
end

describe("run:fit", function()
  it("steps a schedule once an epoch, or once a step", function()
    local dir <close> = process.tempdir()
    for interval, every in pairs { epoch = 6, step = 1 } do
      local _, read = fit(dir, function(options, opt)
        options.scheduler, options.scheduler_interval = S.ExponentialLR(opt, 0.5), interval
      end)
      local lr = read "/metrics/lr":totable()
      assert.equal(24, #lr)
      for k, value in ipairs(lr) do assert.equal(0.5 * 0.5 ^ ((k - 1) // every), value) end
      os.remove(dir / "o.h5")
    end
  end)

  it("tells a plateau schedule the validation loss", function()
    local dir <close> = process.tempdir()
    local _, read = fit(dir, function(options, opt)
      options.scheduler = S.ReduceLROnPlateau(opt, { patience = 0, threshold = 10, threshold_mode = "abs",
        factor = 0.5 })
    end)
    assert.same({ 0.5, 0.5, 0.25, 0.125 }, { read "/metrics/lr"[1]:item(), read "/metrics/lr"[7]:item(),
      read "/metrics/lr"[13]:item(), read "/metrics/lr"[19]:item() })
  end)

  it("stops early, and leaves the best weights and their evaluation", function()
    local dir <close> = process.tempdir()
    local found, read = fit(dir, function(options, opt)
      options.epochs = 50
      options.scheduler = S.LambdaLR(opt, function(epoch) return epoch < 3 and 1 or 1e4 end) -- spoils it
      options.early_stopping = { patience = 2, restore_best_weights = true }
    end)
    local losses = read "/validation/loss":totable()
    assert.is_true(#losses < 20)
    assert.equal(math.min(table.unpack(losses)), found.evaluation.loss)
    assert.is_true(found.evaluation.loss < 0.4)
    assert.equal(6 * #losses, found.run.step)
    assert.is_true(found.net.weight:abs():max():item() < 10)
    local text = read "/events/message"
    assert.truthy(table.concat(text, "\n"):find("early stopping: the validation loss was best, ", 1, true))
  end)

  it("checks what it is given", function()
    local dir <close> = process.tempdir()
    for message, change in pairs {
      ["scheduler is one of sonde.optim.lr_scheduler, got number"] = function(o) o.scheduler = 1 end,
      ["unknown choice 'batch'"] = function(o) o.scheduler_interval = "batch" end,
      ["it needs valid, and the interval"] = function(o, opt) o.scheduler, o.valid = S.ReduceLROnPlateau(opt), nil end,
      ["early_stopping is a table such as"] = function(o) o.early_stopping = 3 end,
      ["early_stopping goes by the validation loss"] = function(o) o.early_stopping, o.valid = {}, nil end,
      ["bad argument 'patience'"] = function(o) o.early_stopping = { patience = "x" } end,
    } do
      local ok, problem = pcall(fit, dir, change)
      assert.falsy(ok)
      assert.truthy(problem:find(message, 1, true), problem)
      os.remove(dir / "o.h5")
    end
  end)
end)
