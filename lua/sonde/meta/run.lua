---@meta
-- For editors only: what `run` offers inside a recipe, and sonde.run. Never loaded.

---What a recipe file returns.
---@class sonde.Recipe
---@field run fun(p: table<string, any>, run: sonde.Run): table?  numbers it returns become /result
---@field name? string     names the file (default: that of the recipe's file)
---@field about? string    the question
---@field params? table<string, any>  a value, or { default, "what it means", choices =, min =, max =, kind = "file" }
---@field metrics? string[]  further columns of /metrics
---@field grid? table<string, any[]>  values of parameters to go through in a sweep
---What a loss or gradient that is not finite leads to, besides an event and a line on stderr. continue: nothing else. skip:
---that optimiser step is left out. stop: the run ends after that row, its file has status failed and says why, exit code 1.
---@field on_nonfinite? "continue"|"skip"|"stop"

---@class sonde.Run
---@field seed integer  of all random numbers of this run
---@field step integer  steps ended so far
---@field file string?  the file that is being written
local Run = {}

---Registers a network and returns it.
---@param net sonde.Module
---@param name? string  needed for a second network
---@return sonde.Module
function Run:model(net, name) end

---Registers an optimiser and returns it: its learning rate is logged, and a non-finite gradient is noticed before its step.
---@param optimizer sonde.Optimizer
---@return sonde.Optimizer
function Run:optimizer(optimizer) end

---When something is measured: at steps with (step - 1) % every == 0; with { log = n }, at n steps per decade, 1 the first; or when
---the function, asked once for each step, returns true. The last step too, but not against the function.
---@alias sonde.Schedule integer|{ log: integer }|fun(step: integer): boolean

---@class sonde.MeasureOptions
---@field every? sonde.Schedule  (the probe's `every`, else 100)

---Of a batch of B samples in parts: |G|², tr Σ and their quotient in /gradient_noise (McCandlish et al. 2018).
---@class sonde.GradientNoiseOptions : sonde.MeasureOptions
---@field decay? number   of the averages from row to row (0.9)
---@field parts? integer  how many small batches a batch is cut into (4)
---@field dim? integer    the axis of the samples in the input (1)

---Of the loss: the largest eigenvalue (and, less exact, the smallest) of its Hessian in /hessian, by Lanczos iteration.
---@class sonde.HessianOptions : sonde.MeasureOptions
---@field iterations? integer  at most, two gradients each (20)
---@field tolerance? number    of the residual, relative to the eigenvalue (1e-3)

---Of the Jacobian d output / d input of each leaf layer and of the network: singular values in /jacobian, sample by sample, then
---averaged. Recurrent layers and those with several inputs are left out.
---@class sonde.JacobianOptions : sonde.MeasureOptions
---@field samples? integer       how many of the batch, along axis 1 (4)
---@field values? integer|"all"  how many singular values are kept (8)
---@field max_elements? integer  larger matrices are NaN (2^20)

---Of RNN, LSTM and GRU along the batch's sequences: Lyapunov exponents in /lyapunov, in nats per time step.
---@class sonde.LyapunovOptions : sonde.MeasureOptions
---@field samples? integer       how many sequences of the batch (4)
---@field values? integer|"all"  how many exponents, the largest first (8)
---@field warmup? integer        time steps at the sequence's end that are not counted (a tenth of it)

---Costly measures: what is measured in passes of its own. Each writes a group of its name. The training does not notice.
---@class sonde.Measures
---@field gradient_noise? sonde.GradientNoiseOptions
---@field hessian? sonde.HessianOptions
---@field jacobian? sonde.JacobianOptions
---@field lyapunov? sonde.LyapunovOptions

---@class sonde.ProbeOptions
---@field every? sonde.Schedule  (1; costly measures: 100)
---@field hist_every? integer  of each so many steps the first one measured has histograms and hidden_jacobian, and the last step (10)
---Groups of the file: weight_grad, activation_grad, activation, weight, weight_grad_hist, activation_grad_hist,
---hidden_grad, hidden_jacobian (with the histograms), gate, gain, skip, weight_drift (all).
---Costly measures only by name, each with options and a schedule of its own if wanted:
---{ "weight_grad", "gradient_noise", hessian = { every = 50 } }. See sonde.Measures.
---@field what? (string[]|sonde.Measures)
---The share of the run's time, 0 to 1, that this probe's costly measures may take: one that would exceed it is left out until a
---later step of its schedule. Which steps are measured then depends on the clock.
---@field budget? number
---@field name? string         prefix of the probes' names, for a second network or a second probe of this one
---Samples to be measured instead of the batch, in a forward and a backward of their own at each measured step. The training
---does not notice: its bits, gradients, random numbers and running statistics are the same. Hooks run as in any forward.
---@field input? sonde.Tensor
---@field target? sonde.Tensor
---The loss of these samples, and that of costly measures (run:fit's). Without samples they take the batch that the network is
---called with and the target that run:batches drew; in a loop without it, `loss` must be the module that the loop calls.
---@field loss? sonde.Module|fun(output: sonde.Tensor, target: sonde.Tensor): sonde.Tensor

---Measures every parameter and every layer of a network, from the first step on. dead_frac counts the samples of measured
---steps only. A row in which a network was idle is NaN, and so are frozen parameters.
---@param net sonde.Module
---@param options? sonde.ProbeOptions
function Run:probe(net, options) end

---@class sonde.MeasureContext
---@field step integer
---@field probe string     its name along the axis: "h1.weight", "h1"
---@field layer string     path of the module
---@field role string      "weight", …; "output"
---@field module sonde.Module
---@field parameter? sonde.Tensor  on weight_grad; nil for a weight that a parametrisation makes

---@class sonde.ColumnOptions
---weight_grad: p.grad when the step's last backward has returned, before clipping. activation, activation_grad: the output of each
---leaf module, and dLoss/d(it).
---@field on "weight_grad"|"activation"|"activation_grad"
---A detached copy; of several calls in a step their samples one after another (where shapes differ, all elements in a row). It runs
---when the step ends, without gradients; random numbers it draws are none of the run's.
---@field fn fun(t: sonde.Tensor, ctx: sonde.MeasureContext): number
---@field modules? (string|sonde.Module)[]  these and all below them (all of the networks probed so far)
---@field every? sonde.Schedule  of the steps that the probe measures (1)

---A statistic of one's own, as a float64 column `name` of that group. After run:probe(net), before the first run:log.
---@param name string
---@param options sonde.ColumnOptions
function Run:measure(name, options) end

---Measures any tensor on its way through a forward like the output of a layer called `name` (role "watched"), from the first step
---on: rows of /activation, /activation_grad and /activation_grad_hist. With a time (from 1) it is the state of a recurrence at that
---step: the norm of its gradient, all paths summed, goes to /hidden_grad too. Several of a name and time in a step pool. Where
---gradients are disabled it does nothing.
---@param name string
---@param tensor sonde.Tensor  float
---@param options? { time?: integer }
---@return sonde.Tensor tensor
function Run:watch(name, tensor, options) end

---@class sonde.BatchOptions
---@field batch_size integer
---@field steps? integer    either this …
---@field epochs? integer   … or this (1)
---@field shuffle? boolean  anew each epoch (true)
---@field drop_last? boolean  leave out a last batch that is too small (false)

---Iterates over batches: for x, y in run:batches(train, { batch_size = 64, epochs = 3 }) do … end
---@param dataset sonde.Dataset
---@param options sonde.BatchOptions
---@return fun(): sonde.Tensor, sonde.Tensor
function Run:batches(dataset, options) end

---Loss and accuracy on a data set, as one row of /validation: evaluation mode, no gradients, modes restored. Its step is that
---of the open row: between the rows of steps 10 and 11 it is 11, of the weights that row 11 is about too.
---@param net sonde.Module
---@param dataset sonde.Dataset
---@param options? { loss?: sonde.Module, batch_size?: integer }
---@return { loss: number, accuracy: number }
function Run:evaluate(net, dataset, options) end

---@class sonde.FitOptions : sonde.BatchOptions
---@field model sonde.Module
---@field loss sonde.Module
---@field optimizer sonde.Optimizer
---@field train sonde.Dataset
---@field valid? sonde.Dataset  evaluated after each epoch and at the end
---@field clip? number          largest norm of the gradient
---@field on_nonfinite? "continue"|"skip"|"stop"
---@field probe? boolean|sonde.ProbeOptions  (true)
---@field scheduler? sonde.Scheduler  stepped at each …
---@field scheduler_interval? "epoch"|"step"  … ("epoch")
---@field early_stopping? table  options of optim.EarlyStopping; the validation decides

---The whole usual training loop. Returns the evaluation of the weights that the network has at last.
---@param options sonde.FitOptions
---@return { loss: number, accuracy: number }?
function Run:fit(options) end

---Adds numbers to the open row without ending the step.
---@param values table<string, number|sonde.Tensor>
function Run:put(values) end

---Adds numbers to the open row and ends the step: one row is written everywhere.
---@param values? table<string, number|sonde.Tensor>
function Run:log(values) end

---Notes in /events that something happened. Its step is that of the open row, as run:evaluate's.
---@param text string
function Run:event(text) end

---A fact about the run, stored in /run/notes.
---@param key string
---@param value string|number|boolean
function Run:note(key, value) end

---Stores a tensor, as it is now, in /arrays; the last of a name counts.
---@param name string  "first.weight", or in a group of /arrays: "teacher/first.weight"
---@param tensor sonde.H5Value
---@param axes? string[]  names of its axes; one-dimensional arrays named as their axis tell the places along it
function Run:save(name, tensor, axes) end

---Registers what belongs to the state of the training.
---@generic T
---@param name string
---@param object T  with state_dict and load_state_dict, or a plain table
---@return T
function Run:keep(name, object) end

---A stream of random numbers of its own, derived from the seed.
---@param name string
---@return sonde.Generator
function Run:generator(name) end

---What to type, in the folder this run was started in, to get the run again with these changes.
---@param changes? { set?: table<string, any>, out?: string }
---@return string "./sonde run r.lua --set width=4 -o x.h5"
function Run:command(changes) end

---@class sonde.Summary
local Summary = {}
---Smallest gradient of a weight now over the largest one.
---@return number
function Summary:ratio() end
---@return { layer: string, start: number, now: number, unmoved: number }[]
function Summary:rows() end

---A picture for the terminal, printed with print(): the gradient layer by layer at the start and now, and the share of weights
---that never moved. Call it after run:probe(net) and before the training.
---@param net sonde.Module
---@return sonde.Summary
function Run:summary(net) end

---@class sonde.Outcome
---@field status "complete"|"interrupted"
---@field file string
---@field steps integer
---@field seconds number
---@field result table?  what the recipe returned

---Runs a recipe (a file, or a table as a recipe file returns) from any script; raises if it fails.
---@param recipe string|table
---@param options? { set?: table<string, any>, seed?: integer, out?: string, force?: boolean, quiet?: boolean }
---@return sonde.Outcome
local function run(recipe, options) end

return run
