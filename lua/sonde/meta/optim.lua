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
---@param hook fun(optimizer: sonde.Optimizer)
---@return sonde.Handle
function Optimizer:register_step_pre_hook(hook) end
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
