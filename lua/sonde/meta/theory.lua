---@meta
-- For editors only: sonde.theory. Never loaded.

---A name ("tanh"), an element-wise module (nn.LeakyReLU(0.2)), a function of a float64 Tensor or of a number.
---@alias sonde.Activation string|sonde.Module|fun(x: sonde.Tensor): sonde.Tensor|fun(x: number): number

---sigma_w² / fan_in is the variance of the weights, sigma_b² (0) that of the biases.
---@class sonde.TheoryOptions
---@field sigma_w number
---@field sigma_b? number
---@field q? number by default the fixed point that q0 flows to
---@field q0? number 1

---@class sonde.MeanField
---@field sigma_w number
---@field sigma_b number
---@field q number fixed point of the length map; 0 or inf where there is no other
---@field chi1 number what a layer multiplies the squared gradient by
---@field c number fixed point of the correlation map; nan where q is 0 or inf
---@field chi_c number the correlation map's slope there
---@field xi_q number depth scales, in layers; nan where nothing shrinks
---@field xi_c number
---@field xi_grad number
---@field trainable_depth number 6 xi_c
---@field decades_per_layer number of the gradient, towards the input: negative is vanishing
---@field phase "ordered"|"critical"|"chaotic"

---@class sonde.CriticalPoint
---@field sigma_w number
---@field sigma_b number
---@field q number

---Mean-field theory of wide random networks (Poole et al. 2016; Schoenholz et al. 2017).
---@class sonde.theory
local theory = {}

---@param activation sonde.Activation
---@param q number
---@param options { sigma_w: number, sigma_b?: number }
---@return number q of the next layer
function theory.q_map(activation, q, options) end

---@param activation sonde.Activation
---@param c number
---@param options sonde.TheoryOptions
---@return number c of the next layer
---@return number slope
function theory.c_map(activation, c, options) end

---@param activation sonde.Activation
---@param options sonde.TheoryOptions
---@return number
function theory.chi1(activation, options) end

---@param activation sonde.Activation
---@param options { sigma_w: number, sigma_b?: number, q0?: number }
---@return sonde.MeanField
function theory.mean_field(activation, options) end

---The edge of chaos at sigma_b (0): chi1 = 1 at a stable fixed point. Raises where there is none.
---@param activation sonde.Activation
---@param options? { sigma_b?: number }
---@return sonde.CriticalPoint
function theory.critical(activation, options) end

---The curve of critical points over q.
---@param activation sonde.Activation
---@param options? { q?: number[] }
---@return sonde.CriticalPoint[]
function theory.edge_of_chaos(activation, options) end

---Layer by layer: q[l], and gradient[l] = ‖dL/dz_l‖ over ‖dL/dz_depth‖. sigma_w: a number, or one for each layer.
---@param activation sonde.Activation
---@param options { sigma_w: number|number[], sigma_b?: number, depth: integer, input?: number } input: mean square, 1
---@return { q: number[], gradient: number[], decades_per_layer: number }
function theory.profile(activation, options) end

return theory
