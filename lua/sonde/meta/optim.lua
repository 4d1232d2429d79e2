---@meta sonde.optim

---`optim.SGD(net:parameters(), { lr = 0.1 })`, or groups `{ { params = …, lr = … }, … }`.
---@class sonde.optim
local optim = {}

---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, momentum?: number, dampening?: number, weight_decay?: number, nesterov?: boolean, maximize?: boolean } 1e-3, 0, 0, 0, false, false
---@return sonde.Optimizer
function optim.SGD(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], eps?: number, weight_decay?: number, amsgrad?: boolean, maximize?: boolean } 1e-3, {0.9, 0.999}, 1e-8, 0, false, false
---@return sonde.Optimizer
function optim.Adam(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], eps?: number, weight_decay?: number, amsgrad?: boolean, maximize?: boolean } weight_decay 1e-2, apart from the gradient
---@return sonde.Optimizer
function optim.AdamW(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, alpha?: number, eps?: number, weight_decay?: number, momentum?: number, centered?: boolean, maximize?: boolean } 1e-2, 0.99, 1e-8, 0, 0, false, false
---@return sonde.Optimizer
function optim.RMSprop(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], eps?: number, weight_decay?: number, maximize?: boolean }
---@return sonde.Optimizer
function optim.Adamax(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], eps?: number, weight_decay?: number, momentum_decay?: number, decoupled_weight_decay?: boolean, maximize?: boolean }
---@return sonde.Optimizer
function optim.NAdam(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], eps?: number, weight_decay?: number, decoupled_weight_decay?: boolean, maximize?: boolean }
---@return sonde.Optimizer
function optim.RAdam(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, lr_decay?: number, weight_decay?: number, initial_accumulator_value?: number, eps?: number, maximize?: boolean }
---@return sonde.Optimizer
function optim.Adagrad(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, rho?: number, eps?: number, weight_decay?: number, maximize?: boolean }
---@return sonde.Optimizer
function optim.Adadelta(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, etas?: number[], step_sizes?: number[], maximize?: boolean }
---@return sonde.Optimizer
function optim.Rprop(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, lambd?: number, alpha?: number, t0?: number, weight_decay?: number, maximize?: boolean }
---@return sonde.Optimizer
function optim.ASGD(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, betas?: number[], weight_decay?: number, maximize?: boolean }
---@return sonde.Optimizer
function optim.Lion(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, weight_decay?: number, momentum?: number, nesterov?: boolean, ns_coefficients?: number[], eps?: number, ns_steps?: integer }
---@return sonde.Optimizer
function optim.Muon(params, opts) end
---@param params sonde.Tensor[]|table[]
---@param opts? { lr?: number, max_iter?: integer, max_eval?: integer, tolerance_grad?: number, tolerance_change?: number, history_size?: integer, line_search_fn?: "strong_wolfe" } its step takes a closure
---@return sonde.Optimizer
function optim.LBFGS(params, opts) end
---From now on the optimiser leaves out a step whose gradients are not all finite.
---@param optimizer sonde.Optimizer
---@return { skipped: integer, remove: fun(self: table) }
function optim.skip_nonfinite(optimizer) end
---Ends training when a metric no longer improves, and restores the best weights.
---@param model sonde.Module
---@param opts? { monitor?: string, min_delta?: number, patience?: integer, mode?: "min"|"max", baseline?: number, restore_best_weights?: boolean, start_from_epoch?: integer }
function optim.EarlyStopping(model, opts) end
---The core's numbers: names in order, and name -> default.
---@param rule string
---@return string[], table<string, number>
function optim.options(rule) end
---An optimiser without groups, for the constructors.
---@param rule string
---@return sonde.Optimizer
function optim.new(rule) end

---@class sonde.Optimizer
---@field param_groups table[] options by name, readable and writable: `opt.param_groups[1].lr = 0.01`; params
local Optimizer = {}

---@param closure? fun(): any computes the loss and its gradients first
---@return any what the closure returned
function Optimizer:step(closure) end
---@param set_to_none? boolean true
function Optimizer:zero_grad(set_to_none) end
---@param group table params and options
function Optimizer:add_param_group(group) end
---@return { state: table<integer, table<string, sonde.Tensor>>, param_groups: table[] }
function Optimizer:state_dict() end
---@param dict table
function Optimizer:load_state_dict(dict) end
---Called by each step before anything else, its closure included.
---@param hook fun(optimizer: sonde.Optimizer)
---@return sonde.Handle
function Optimizer:register_step_pre_hook(hook) end
---Called when the weights have moved.
---@param hook fun(optimizer: sonde.Optimizer)
---@return sonde.Handle
function Optimizer:register_step_post_hook(hook) end
---@return string "SGD"
function Optimizer:rule() end
---@return integer
function Optimizer:groups() end
---@param group integer
---@return sonde.Tensor[]
function Optimizer:group_parameters(group) end
---@param group integer
---@param option string the core's name
---@return number
function Optimizer:get(group, option) end
---All at once or not at all.
---@param group integer
---@param options table<string, number>
function Optimizer:configure(group, options) end
---@param params sonde.Tensor[]
---@return integer group
function Optimizer:add_group(params) end
---@return table[]
function Optimizer:get_param_groups() end
---Copies of the state's tensors by parameter number and name.
---@return table<integer, table<string, sonde.Tensor>>
function Optimizer:state() end
---@param parameter integer
---@param name string
---@param tensor sonde.Tensor
function Optimizer:set_state(parameter, name, tensor) end
---@return string
function Optimizer:describe() end

return optim
