---@meta sonde.optim.lr_scheduler

---How learning rates change while the training goes on. Arguments by position or in a trailing table.
---@class sonde.optim.lr_scheduler
---@field StepLR fun(optimizer: sonde.Optimizer, step_size: integer|table, gamma?: number): sonde.Scheduler lr · gamma every step_size epochs; 0.1
---@field MultiStepLR fun(optimizer: sonde.Optimizer, milestones: integer[]|table, gamma?: number|table): sonde.Scheduler lr · gamma at each milestone; 0.1
---@field ExponentialLR fun(optimizer: sonde.Optimizer, gamma: number|table): sonde.Scheduler lr · gamma each epoch
---@field PolynomialLR fun(optimizer: sonde.Optimizer, total_iters?: integer|table, power?: number): sonde.Scheduler base · (1 - epoch/total_iters)^power; 5, 1
---@field ConstantLR fun(optimizer: sonde.Optimizer, factor?: number|table, total_iters?: integer): sonde.Scheduler base · factor up to epoch total_iters; 1/3, 5
---@field LinearLR fun(optimizer: sonde.Optimizer, start_factor?: number|table, end_factor?: number, total_iters?: integer): sonde.Scheduler from base · start_factor in a line to base · end_factor; 1/3, 1, 5
---@field LambdaLR fun(optimizer: sonde.Optimizer, lr_lambda: fun(epoch: integer): number|fun[]): sonde.Scheduler base · lr_lambda(epoch)
---@field MultiplicativeLR fun(optimizer: sonde.Optimizer, lr_lambda: fun(epoch: integer): number|fun[]): sonde.Scheduler lr · lr_lambda(epoch)
---@field CosineAnnealingLR fun(optimizer: sonde.Optimizer, T_max: integer|table, eta_min?: number|table): sonde.Scheduler down to eta_min at T_max and back; 0
---@field CosineAnnealingWarmRestarts fun(optimizer: sonde.Optimizer, T_0: integer|table, T_mult?: integer|table, eta_min?: number): sonde.Scheduler down to eta_min again and again; 1, 0
---@field CyclicLR fun(optimizer: sonde.Optimizer, base_lr: number|number[], max_lr: number|number[], opts?: table): sonde.Scheduler step_size_up 2000, step_size_down, mode "triangular"|"triangular2"|"exp_range", gamma 1, scale_fn, scale_mode "cycle"|"iterations", cycle_momentum true, base_momentum 0.8, max_momentum 0.9
---@field OneCycleLR fun(optimizer: sonde.Optimizer, max_lr: number|number[]|table, opts?: table): sonde.Scheduler total_steps, or epochs and steps_per_epoch; pct_start 0.3, anneal_strategy "cos"|"linear", cycle_momentum true, base_momentum 0.85, max_momentum 0.95, div_factor 25, final_div_factor 1e4, three_phase false
---@field SequentialLR fun(optimizer: sonde.Optimizer, schedulers: sonde.Scheduler[], milestones: integer[]): sonde.Scheduler one after the other
---@field WarmupLR fun(optimizer: sonde.Optimizer, warmup_steps: integer, after?: sonde.Scheduler): sonde.Scheduler base · (epoch + 1)/warmup_steps, then `after` from its start
---@field ReduceLROnPlateau fun(optimizer: sonde.Optimizer, opts?: table): sonde.Scheduler mode "min"|"max", factor 0.1, patience 10, threshold 1e-4, threshold_mode "rel"|"abs", cooldown 0, min_lr 0, eps 1e-8; step(metric)
---@field ChainedScheduler fun(schedulers: sonde.Scheduler[]): sonde.Scheduler all at once: the factors multiply
local lr_scheduler = {}

---@class sonde.Scheduler
---@field last_epoch integer  steps so far
local Scheduler = {}
---To the next epoch, after the optimiser's step. Of ReduceLROnPlateau with the metric.
---@param metric? number|sonde.Tensor
function Scheduler:step(metric) end
---The rates in force, one for each group.
---@return number[]
function Scheduler:get_last_lr() end
---@return table
function Scheduler:state_dict() end
---Goes on from there; the optimiser's rates are in its own state.
---@param state table
function Scheduler:load_state_dict(state) end

---@class sonde.optim.swa_utils
local swa_utils = {}
---The average of a network's weights, beside the network. `averaged(x)` is its output with the averages.
---@param model sonde.Module
---@param opts? { avg_fn?: (fun(average: sonde.Tensor, value: sonde.Tensor, n: integer): sonde.Tensor), use_buffers?: boolean } equal weights, false
---@return sonde.AveragedModel
function swa_utils.AveragedModel(model, opts) end
---@return fun(average: sonde.Tensor, value: sonde.Tensor, n: integer): sonde.Tensor
function swa_utils.get_swa_avg_fn() end
---@param decay? number 0.999
---@return fun(average: sonde.Tensor, value: sonde.Tensor, n: integer): sonde.Tensor
function swa_utils.get_ema_avg_fn(decay) end
---Recomputes the running statistics of every BatchNorm as the mean over the batches.
---@param batches fun(): sonde.Tensor an iterator
---@param model sonde.Module
function swa_utils.update_bn(batches, model) end
---From the present rate to swa_lr over anneal_epochs.
---@param optimizer sonde.Optimizer
---@param swa_lr number|number[]|table
---@param anneal_epochs? integer|table 10
---@param anneal_strategy? "cos"|"linear"
---@return sonde.Scheduler
function swa_utils.SWALR(optimizer, swa_lr, anneal_epochs, anneal_strategy) end

---@class sonde.AveragedModel
---@field module sonde.Module
---@field n_averaged integer
---@field averages table<string, sonde.Tensor>
local AveragedModel = {}
---Takes the weights as they are now into the average.
---@param model? sonde.Module
function AveragedModel:update_parameters(model) end
---The network has the averages until the returned value is closed: `local _ <close> = averaged:average_parameters()`
---@return table
function AveragedModel:average_parameters() end
---Copies the averages into a network for good.
---@param model? sonde.Module
function AveragedModel:copy_to(model) end
---@return { n_averaged: integer, averages: table<string, sonde.Tensor> }
function AveragedModel:state_dict() end
---@param state table
function AveragedModel:load_state_dict(state) end

---@class sonde.EarlyStopping
---@field best number?
---@field best_epoch integer?
---@field wait integer   epochs without a better metric
---@field stopped boolean
local EarlyStopping = {}
---@param metric number|table<string, number>
---@return boolean stop
function EarlyStopping:step(metric) end
---Gives the network the best weights seen, if they were kept.
---@return boolean
function EarlyStopping:restore() end
---@return table
function EarlyStopping:state_dict() end
---@param state table
function EarlyStopping:load_state_dict(state) end

return lr_scheduler
