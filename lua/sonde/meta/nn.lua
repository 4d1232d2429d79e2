---@meta sonde.nn

---@class sonde.RecurrentOptions
---@field num_layers? integer 1
---@field bias? boolean true
---@field batch_first? boolean
---@field dropout? number between layers
---@field bidirectional? boolean
---@field variational? boolean that dropout drops the same units at every step
---@field recurrent_dropout? number of the h that enters weight_hh, the same units at every step
---@field clip_hidden_grad? number largest norm of dL/dh_t in back-propagation through time
---@field dtype? "float32"|"float64"
---@class sonde.RNNOptions : sonde.RecurrentOptions
---@field nonlinearity? "tanh"|"relu"|"linear"
---@field leak? number 1: h' = (1 - leak) h + leak φ(…)
---@class sonde.LSTMOptions : sonde.RecurrentOptions
---@field forget_bias? number what the forget gate's two biases sum to at the start
---@field peepholes? boolean
---@field layer_norm? boolean
---@field activation? "tanh"|"relu" of candidate and output
---@class sonde.GRUOptions : sonde.RecurrentOptions
---@field reset_after? boolean true, as PyTorch
---@class sonde.EchoStateNetwork : sonde.Module
---@field fit fun(self, inputs: sonde.Tensor, targets: sonde.Tensor, opts?: { ridge?: number, washout?: integer }): sonde.EchoStateNetwork 1e-8, 0
---@field generate fun(self, inputs: sonde.Tensor, n: integer): sonde.Tensor
---@field memory_capacity fun(self, opts?: { max_delay?: integer, steps?: integer, washout?: integer, ridge?: number, generator?: sonde.Generator }): number, number[]

---@class sonde.AttentionOptions
---@field dropout? number 0, of the attention weights
---@field bias? boolean true
---@field add_bias_kv? boolean a learned key and value more
---@field add_zero_attn? boolean a key and value of zeros more
---@field kdim? integer features of keys: embed_dim
---@field vdim? integer features of values: embed_dim
---@field batch_first? boolean
---@field dtype? "float32"|"float64"
---@class sonde.EncoderOptions
---@field dim_feedforward? integer 2048
---@field dropout? number 0.1
---@field activation? "relu"|"gelu"|sonde.Module "relu"
---@field layer_norm_eps? number 1e-5
---@field batch_first? boolean
---@field norm_first? boolean normalise before the branches (pre-norm) instead of after
---@field bias? boolean true
---@field dtype? "float32"|"float64"

---@class sonde.nn
---@field init sonde.nn.init
---@field utils sonde.nn.utils
---@field Module sonde.Module
---activations; those that PyTorch gives it take `inplace`:
---@field Sigmoid fun(): sonde.Module
---@field Tanh fun(): sonde.Module
---@field ReLU fun(inplace?: boolean|table): sonde.Module
---@field LeakyReLU fun(negative_slope?: number|table, inplace?: boolean): sonde.Module 0.01
---@field ELU fun(alpha?: number|table, inplace?: boolean): sonde.Module 1
---@field SELU fun(inplace?: boolean|table): sonde.Module
---@field GELU fun(approximate?: "none"|"tanh"|table): sonde.Module
---@field SiLU fun(inplace?: boolean|table): sonde.Module
---@field Softplus fun(beta?: number|table, threshold?: number): sonde.Module 1, 20
---@field Softsign fun(): sonde.Module
---@field Hardtanh fun(min_val?: number|table, max_val?: number, inplace?: boolean): sonde.Module -1, 1
---@field ReLU6 fun(inplace?: boolean|table): sonde.Module
---@field CELU fun(alpha?: number|table, inplace?: boolean): sonde.Module 1
---@field Mish fun(inplace?: boolean|table): sonde.Module
---@field Hardsigmoid fun(inplace?: boolean|table): sonde.Module
---@field Hardswish fun(inplace?: boolean|table): sonde.Module
---@field LogSigmoid fun(): sonde.Module
---@field Threshold fun(threshold: number|table, value?: number, inplace?: boolean): sonde.Module x where x > threshold, else value
---@field Tanhshrink fun(): sonde.Module
---@field Sin fun(): sonde.Module
---@field PReLU fun(num_parameters?: integer|table, init?: number, dtype?: string): sonde.Module 1, 0.25; weight by channel (axis 2)
---@field RReLU fun(lower?: number|table, upper?: number): sonde.Module 1/8, 1/3; in training a random slope per element
---@field Softmax fun(dim?: integer|table): sonde.Module -1
---@field LogSoftmax fun(dim?: integer|table): sonde.Module -1
---noise, in training only:
---@field Dropout2d fun(p?: number|table): sonde.Module 0.5; whole channels of [N, C, H, W]
---@field AlphaDropout fun(p?: number|table): sonde.Module 0.5; keeps SELU's mean and variance
---@field GaussianNoise fun(std?: number|table): sonde.Module 0.1
---@field StochasticDepth fun(p?: number|table): sonde.Module 0.5; whole samples: put it at the end of a Residual's block
---values pass, the gradient changes:
---@field GradientScale fun(scale: number|table): sonde.Module
---@field GradientReversal fun(scale?: number|table): sonde.Module 1: times -scale
---@field GradientStop fun(): sonde.Module
---gates:
---@field GLU fun(dim?: integer|table): sonde.Module -1
---@field CReLU fun(dim?: integer|table): sonde.Module 2
local nn = {}

---y = x Wᵀ + b over the last axis; weight [out_features, in_features], both from U(±1/√in_features).
---@param in_features integer
---@param out_features integer
---@param opts? { bias?: boolean, dtype?: "float32"|"float64" }
---@return sonde.Module
function nn.Linear(in_features, out_features, opts) end
---@param start_dim? integer 2: the batch stays
---@param end_dim? integer -1
---@return sonde.Module
function nn.Flatten(start_dim, end_dim) end
---@return sonde.Module
function nn.Identity() end
---Rows of weight [num_embeddings, embedding_dim] for int64 indices from 1; padding_idx gets no gradient.
---@param num_embeddings integer
---@param embedding_dim integer
---@param opts? { padding_idx?: integer, dtype?: string }
---@return sonde.Module
function nn.Embedding(num_embeddings, embedding_dim, opts) end
---Of two inputs: x1ᵀ W x2 + b.
---@param in1_features integer
---@param in2_features integer
---@param out_features integer
---@param opts? { bias?: boolean, dtype?: string }
---@return sonde.Module
function nn.Bilinear(in1_features, in2_features, out_features, opts) end
---The largest of `pieces` (2) affine functions, for each output.
---@param in_features integer
---@param out_features integer
---@param pieces? integer|{ pieces?: integer, dtype?: string }
---@return sonde.Module
function nn.Maxout(in_features, out_features, pieces) end
---@param dim integer
---@param unflattened_size integer[] one may be -1
---@return sonde.Module
function nn.Unflatten(dim, unflattened_size) end
---Runs every child (`:add`) on the same input and joins the results along dim (2). With nn.Identity(): a dense skip.
---@param dim? integer|table
---@return sonde.Module
function nn.Concat(dim) end
---x + t (block(x) - x), t = σ(gate(x)); gate is a Linear whose bias starts at gate_bias.
---@param block sonde.Module
---@param features integer
---@param opts? { gate_bias?: number, dtype?: string } -1
---@return sonde.Module
function nn.Highway(block, features, opts) end
---x and block(x) joined along dim (2): the skip of a DenseNet (Huang et al. 2017).
---@param block sonde.Module
---@param dim? integer|{ dim?: integer }
---@return sonde.Module
function nn.DenseSkip(block, dim) end
---A Residual whose scale is learned and starts at 0: the identity at first (Bachlechner et al. 2021; De & Smith 2020).
---@param block sonde.Module
---@param opts? { shortcut?: sonde.Module }
---@return sonde.Module
function nn.ReZero(block, opts) end
---Another name of ReZero: the formula of SkipInit (De & Smith 2020) is the same.
---@param block sonde.Module
---@param opts? { shortcut?: sonde.Module }
---@return sonde.Module
function nn.SkipInit(block, opts) end
---x · weight, weight [num_features] along dim (-1) started at init (1e-5): at the end of a Residual's block (Touvron et
---al. 2021).
---@param num_features integer
---@param init? number|{ init?: number, dim?: integer, dtype?: string }
---@param dim? integer
---@return sonde.Module
function nn.LayerScale(num_features, init, dim) end
---Multi-head attention (Vaswani et al. 2017) with PyTorch's parameters. Called with (query [L, N, E], key, value,
---{ key_padding_mask =, need_weights = true, attn_mask =, average_attn_weights = true, is_causal = false }); key is query and
---value is key where left out; batch_first: [N, L, E]; without a batch [L, E]. Masks: int64, not 0 where it is forbidden to
---look, or floats that are added to the scores; attn_mask [L, S] or [N · num_heads, L, S], key_padding_mask [N, S]. Returns
---the output and, if wanted, the weights: the heads' mean [N, L, S] or [N, num_heads, L, S].
---@param embed_dim integer
---@param num_heads integer
---@param dropout? number|sonde.AttentionOptions
---@param opts? sonde.AttentionOptions
---@return sonde.Module
function nn.MultiheadAttention(embed_dim, num_heads, dropout, opts) end
---One block of a transformer encoder. Called with (src [L, N, E], { src_mask =, src_key_padding_mask =, is_causal = false }).
---@param d_model integer
---@param nhead integer
---@param dim_feedforward? integer|sonde.EncoderOptions
---@param opts? sonde.EncoderOptions
---@return sonde.Module
function nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, opts) end
---Copies of a layer one after the other, all with its weights at first, then norm. Called with (src, { mask =,
---src_key_padding_mask =, is_causal = false }).
---@param encoder_layer sonde.Module
---@param num_layers integer
---@param norm? sonde.Module|{ norm?: sonde.Module }
---@return sonde.Module
function nn.TransformerEncoder(encoder_layer, num_layers, norm) end
---@param p? number|{ p?: number } 0.5
---@return sonde.Module
function nn.Dropout(p) end
---Cross-correlation of x [N, C, L] or [C, L] with weight [out, in / groups, kernel_size], from U(±1/√fan_in). padding
---"same" keeps the length, "valid" is none.
---@param in_channels integer
---@param out_channels integer
---@param kernel_size integer
---@param opts? { stride?: integer, padding?: integer|"same"|"valid", dilation?: integer, groups?: integer, bias?: boolean, padding_mode?: "zeros"|"reflect"|"replicate"|"circular", dtype?: string } 1, 0, 1, 1, true
---@return sonde.Module
function nn.Conv1d(in_channels, out_channels, kernel_size, opts) end
---The same of x [N, C, H, W] or [C, H, W]; sizes are numbers or {height, width}.
---@param in_channels integer
---@param out_channels integer
---@param kernel_size integer|integer[]
---@param opts? { stride?: integer|integer[], padding?: integer|integer[]|"same"|"valid", dilation?: integer|integer[], groups?: integer, bias?: boolean, padding_mode?: "zeros"|"reflect"|"replicate"|"circular", dtype?: string }
---@return sonde.Module
function nn.Conv2d(in_channels, out_channels, kernel_size, opts) end
---The transpose of Conv2d; weight [in, out / groups, kh, kw].
---@param in_channels integer
---@param out_channels integer
---@param kernel_size integer|integer[]
---@param opts? { stride?: integer|integer[], padding?: integer|integer[], output_padding?: integer|integer[], groups?: integer, bias?: boolean, dilation?: integer|integer[], dtype?: string }
---@return sonde.Module
function nn.ConvTranspose2d(in_channels, out_channels, kernel_size, opts) end
---Pooling of x [N, C, L] or [C, L], in two dimensions [N, C, H, W] or [C, H, W]; stride is kernel_size if left out;
---padding, of at most half the kernel, is -inf.
---@param kernel_size integer
---@param opts? { stride?: integer, padding?: integer, dilation?: integer, ceil_mode?: boolean }
---@return sonde.Module
function nn.MaxPool1d(kernel_size, opts) end
---@param kernel_size integer|integer[]
---@param opts? { stride?: integer|integer[], padding?: integer|integer[], dilation?: integer|integer[], ceil_mode?: boolean }
---@return sonde.Module
function nn.MaxPool2d(kernel_size, opts) end
---@param kernel_size integer
---@param opts? { stride?: integer, padding?: integer, ceil_mode?: boolean, count_include_pad?: boolean } the last is true
---@return sonde.Module
function nn.AvgPool1d(kernel_size, opts) end
---@param kernel_size integer|integer[]
---@param opts? { stride?: integer|integer[], padding?: integer|integer[], ceil_mode?: boolean, count_include_pad?: boolean }
---@return sonde.Module
function nn.AvgPool2d(kernel_size, opts) end
---Pooling to a given length: window o covers floor(o L/size) .. ceil((o+1) L/size) - 1.
---@param output_size integer
---@return sonde.Module
function nn.AdaptiveAvgPool1d(output_size) end
---@param output_size integer
---@return sonde.Module
function nn.AdaptiveMaxPool1d(output_size) end
---@param output_size integer|integer[]
---@return sonde.Module
function nn.AdaptiveAvgPool2d(output_size) end
---@param output_size integer|integer[]
---@return sonde.Module
function nn.AdaptiveMaxPool2d(output_size) end
---@param num_features integer
---@param opts? { eps?: number, momentum?: number|false, affine?: boolean, track_running_stats?: boolean, dtype?: string } 1e-5, 0.1 (false: cumulative), true, true
---@return sonde.Module
function nn.BatchNorm1d(num_features, opts) end
---The same of x [N, C, H, W].
---@param num_features integer
---@param opts? { eps?: number, momentum?: number|false, affine?: boolean, track_running_stats?: boolean, dtype?: string }
---@return sonde.Module
function nn.BatchNorm2d(num_features, opts) end
---Over each sample's last axes, which are normalized_shape.
---@param normalized_shape integer|integer[]
---@param opts? { eps?: number, elementwise_affine?: boolean, bias?: boolean, dtype?: string } 1e-5, true, true
---@return sonde.Module
function nn.LayerNorm(normalized_shape, opts) end
---x / √(mean(x²) + eps) · weight over the last axes.
---@param normalized_shape integer|integer[]
---@param opts? { eps?: number, elementwise_affine?: boolean, dtype?: string } the input dtype's epsilon, true
---@return sonde.Module
function nn.RMSNorm(normalized_shape, opts) end
---Over groups of the channels of each sample, x [N, C, ...].
---@param num_groups integer
---@param num_channels integer
---@param opts? { eps?: number, affine?: boolean, dtype?: string } 1e-5, true
---@return sonde.Module
function nn.GroupNorm(num_groups, num_channels, opts) end
---Over each channel of each sample of x [N, C, L] or [C, L], in evaluation too.
---@param num_features integer
---@param opts? { eps?: number, affine?: boolean, dtype?: string } 1e-5, false
---@return sonde.Module
function nn.InstanceNorm1d(num_features, opts) end
---The same of x [N, C, H, W] or [C, H, W].
---@param num_features integer
---@param opts? { eps?: number, affine?: boolean, dtype?: string }
---@return sonde.Module
function nn.InstanceNorm2d(num_features, opts) end
---`Sequential{ a, b }` or `Sequential(a, b)`; names by `net:add(name, module)`.
---@param ... sonde.Module|sonde.Module[]
---@return sonde.Module
function nn.Sequential(...) end
---shortcut(x) + scale · block(x); without a shortcut, x itself. learn_scale: scale is a parameter.
---@param block sonde.Module
---@param opts? { scale?: number, learn_scale?: boolean, shortcut?: sonde.Module }
---@return sonde.Module
function nn.Residual(block, opts) end
---Recurrent layers. Called with (x, h0, lengths), an LSTM with (x, h0, c0, lengths); all but x may be nil. x [T, B, I], or
---[B, T, I] with batch_first, or one sequence [T, I]; lengths int64 [B]. Returns output, h_n (and c_n). A ReLU net that
---starts from the identity (Le et al. 2015): net.weight_hh_l0:copy_(sonde.eye(H)) inside sonde.no_grad; an orthogonal one:
---nn.init.orthogonal_(net.weight_hh_l0).
---@param input_size integer
---@param hidden_size integer
---@param num_layers? integer|sonde.RNNOptions 1
---@param opts? sonde.RNNOptions
---@return sonde.Module
function nn.RNN(input_size, hidden_size, num_layers, opts) end
---@param input_size integer
---@param hidden_size integer
---@param num_layers? integer|sonde.LSTMOptions 1
---@param opts? sonde.LSTMOptions
---@return sonde.Module
function nn.LSTM(input_size, hidden_size, num_layers, opts) end
---@param input_size integer
---@param hidden_size integer
---@param num_layers? integer|sonde.GRUOptions 1
---@param opts? sonde.GRUOptions
---@return sonde.Module
function nn.GRU(input_size, hidden_size, num_layers, opts) end
---One step: (x [B, I], h) -> h
---@param input_size integer
---@param hidden_size integer
---@param opts? { bias?: boolean, nonlinearity?: "tanh"|"relu"|"linear", leak?: number, dtype?: string }
---@return sonde.Module
function nn.RNNCell(input_size, hidden_size, opts) end
---One step: (x [B, I], h, c) -> h, c
---@param input_size integer
---@param hidden_size integer
---@param opts? { bias?: boolean, forget_bias?: number, peepholes?: boolean, layer_norm?: boolean, activation?: "tanh"|"relu", dtype?: string }
---@return sonde.Module
function nn.LSTMCell(input_size, hidden_size, opts) end
---One step: (x [B, I], h) -> h
---@param input_size integer
---@param hidden_size integer
---@param opts? { bias?: boolean, reset_after?: boolean, dtype?: string }
---@return sonde.Module
function nn.GRUCell(input_size, hidden_size, opts) end
---A fixed random reservoir (links per unit, or connectivity, their share) and a readout that fit() solves for.
---@param input_size integer
---@param units integer
---@param output_size integer
---@param opts? { spectral_radius?: number, sr?: number, leak?: number, input_scaling?: number, bias_scaling?: number, links?: integer, connectivity?: number, activation?: "tanh"|"relu"|"linear", generator?: sonde.Generator, dtype?: string } 0.9, 1, 1, 0, 0.1 of the units
---@return sonde.EchoStateNetwork
function nn.EchoStateNetwork(input_size, units, output_size, opts) end
---Of logits [N, C] and labels int64 [N] in 1..C.
---@param opts? { weight?: sonde.Tensor, ignore_index?: integer, reduction?: "mean"|"sum"|"none", label_smoothing?: number }
---@return sonde.Module
function nn.CrossEntropyLoss(opts) end
---@param reduction? "mean"|"sum"|"none"|{ reduction?: string }
---@return sonde.Module
function nn.MSELoss(reduction) end
---@param opts? { weight?: sonde.Tensor, reduction?: "mean"|"sum"|"none", pos_weight?: sonde.Tensor }
---@return sonde.Module
function nn.BCEWithLogitsLoss(opts) end
----weight[y] · x[y] of log-probabilities x [N, C] or [N, C, …]; labels as in CrossEntropyLoss.
---@param opts? { weight?: sonde.Tensor, ignore_index?: integer, reduction?: "mean"|"sum"|"none" }
---@return sonde.Module
function nn.NLLLoss(opts) end
---Cross-entropy of probabilities x within 0..1 and targets of the same shape.
---@param opts? { weight?: sonde.Tensor, reduction?: "mean"|"sum"|"none" }
---@return sonde.Module
function nn.BCELoss(opts) end
---|x - t|
---@param reduction? "mean"|"sum"|"none"|table
---@return sonde.Module
function nn.L1Loss(reduction) end
---e²/2beta where |e| = |x - t| < beta, else |e| - beta/2; beta 1
---@param reduction? "mean"|"sum"|"none"|{ reduction?: string, beta?: number }
---@param beta? number
---@return sonde.Module
function nn.SmoothL1Loss(reduction, beta) end
---e²/2 where |e| = |x - t| < delta, else delta (|e| - delta/2); delta 1
---@param reduction? "mean"|"sum"|"none"|{ reduction?: string, delta?: number }
---@param delta? number
---@return sonde.Module
function nn.HuberLoss(reduction, delta) end
---t (log t - x) of log-probabilities x; "batchmean" is the divergence as defined.
---@param reduction? "mean"|"sum"|"none"|"batchmean"|{ reduction?: string, log_target?: boolean }
---@param log_target? boolean targets are logarithms too
---@return sonde.Module
function nn.KLDivLoss(reduction, log_target) end
---x where the target is 1, max(0, margin - x) where it is -1; margin 1
---@param margin? number|{ margin?: number, reduction?: "mean"|"sum"|"none" }
---@param reduction? "mean"|"sum"|"none"
---@return sonde.Module
function nn.HingeEmbeddingLoss(margin, reduction) end
---loss(a, b, target): 1 - cosine where the target is 1, max(0, cosine - margin) where it is -1; margin 0
---@param margin? number|{ margin?: number, reduction?: "mean"|"sum"|"none" }
---@param reduction? "mean"|"sum"|"none"
---@return sonde.Module
function nn.CosineEmbeddingLoss(margin, reduction) end
---Σ max(0, margin - x[y] + x[j])^p / C over the other classes j; p 1, margin 1
---@param opts? { p?: 1|2, margin?: number, weight?: sonde.Tensor, reduction?: "mean"|"sum"|"none" }
---@return sonde.Module
function nn.MultiMarginLoss(opts) end
---log(1 + exp(-t x)), targets 1 and -1
---@param reduction? "mean"|"sum"|"none"|table
---@return sonde.Module
function nn.SoftMarginLoss(reduction) end
---loss(x, target, variance): (log v + (x - t)²/v)/2, v = max(variance, eps); full: + log(2π)/2. false, 1e-6
---@param opts? { full?: boolean, eps?: number, reduction?: "mean"|"sum"|"none" }
---@return sonde.Module
function nn.GaussianNLLLoss(opts) end
---A tensor that registers itself when it becomes a field of a layer. Shares the data's memory.
---@param data sonde.Tensor
---@param requires_grad? boolean true
---@return sonde.Tensor
function nn.Parameter(data, requires_grad) end
---@param value any
---@return boolean
function nn.is_module(value) end

---`net(x)` calls it, `net[i]` and `net.name` are its children, `net.weight` its parameters, `#net` how many children.
---A layer of one's own: `local MyLayer = nn.Module:extend("MyLayer")` with methods `init(...)` and `forward(x, ...)`;
---then `MyLayer(...)`. Fields that are modules or nn.Parameter register themselves in order of assignment.
---@class sonde.Module
---@field training boolean its own mode; train and eval set those of all below it too
---@field super? table of a class: the one it extends
---@overload fun(...: sonde.Tensor): sonde.Tensor, ...
local Module = {}

---@param name string
---@return sonde.Module class
function Module:extend(name) end
---@param ... sonde.Tensor
---@return sonde.Tensor ...
function Module:forward(...) end
---Appends a child; returns the container.
---@param name string|sonde.Module
---@param module? sonde.Module
---@return sonde.Module self
function Module:add(name, module) end
---@return sonde.Module[]
function Module:children() end
---@return string[]
function Module:child_names() end
---@return fun(): string?, sonde.Module?
function Module:named_children() end
---This module and all below it, in forward order, each once.
---@return sonde.Module[]
function Module:modules() end
---@return fun(): string?, sonde.Module?
function Module:named_modules() end
---@return sonde.Tensor[]
function Module:parameters() end
---@return fun(): string?, sonde.Tensor?
function Module:named_parameters() end
---@return sonde.Tensor[]
function Module:buffers() end
---@return fun(): string?, sonde.Tensor?
function Module:named_buffers() end
---Names and tensors of this module alone.
---@param buffers? boolean buffers instead of parameters
---@return string[], sonde.Tensor[]
function Module:own_parameters(buffers) end
---@param name string
---@param tensor? sonde.Tensor
function Module:register_parameter(name, tensor) end
---@param name string
---@param tensor? sonde.Tensor
function Module:register_buffer(name, tensor) end
---@return string "Linear", or the name given to extend
function Module:class_name() end
---@param mode? boolean true
---@return sonde.Module self
function Module:train(mode) end
---@return sonde.Module self
function Module:eval() end
function Module:zero_grad() end
---Calls fn with every module, children first.
---@param fn fun(module: sonde.Module)
---@return sonde.Module self
function Module:apply(fn) end
---@param requires_grad? boolean true
---@return sonde.Module self
function Module:requires_grad_(requires_grad) end
---@param dtype "float32"|"float64"
---@return sonde.Module self
function Module:to(dtype) end
---name -> tensor of parameters and buffers, sharing the module's memory. names = "torch": children count from 0.
---@param opts? { names?: "torch" }
---@return table<string, sonde.Tensor>
function Module:state_dict(opts) end
---Copies values in: all, or none and an error that lists what does not fit. names = "torch": children count from 0.
---@param state table<string, sonde.Tensor|number|table> tables are groups of names
---@param opts? { names?: "torch", strict?: boolean }
---@return string[] missing
---@return string[] unexpected
function Module:load_state_dict(state, opts) end
---Of an activation, the largest its derivative gets anywhere: 0.25 of a Sigmoid. Over an axis (Softmax), of |∂y_i/∂x_j|.
---@return number? nil of other modules
function Module:derivative_bound() end
---Below lower and above upper an activation's |φ'| is under 5 % of that bound; nil: never on that side.
---@return number? lower
---@return number? upper
function Module:saturation_interval() end
---hook(module, input) may return what takes the input's place. Several inputs come as a list.
---@param hook fun(module: sonde.Module, input: sonde.Tensor|sonde.Tensor[]): sonde.Tensor|sonde.Tensor[]?
---@param prepend? boolean false; true: called before the hooks there are
---@return sonde.Handle
function Module:register_forward_pre_hook(hook, prepend) end
---@param hook fun(module: sonde.Module, input: sonde.Tensor|sonde.Tensor[], output: sonde.Tensor|sonde.Tensor[]): sonde.Tensor|sonde.Tensor[]?
---@param prepend? boolean false; true: called before the hooks there are
---@return sonde.Handle
function Module:register_forward_hook(hook, prepend) end
---Both gradients are tables with n; nil where there is none. What it returns takes the place of grad_input.
---@param hook fun(module: sonde.Module, grad_input: sonde.Tensor[], grad_output: sonde.Tensor[]): sonde.Tensor|sonde.Tensor[]?
---@param prepend? boolean false; true: called before the hooks there are
---@return sonde.Handle
function Module:register_full_backward_hook(hook, prepend) end
---hook(gradient, where): the whole dL/dh_t [B, H] of a recurrent layer at every step of its backward, from its next forward
---on; where: step and layer from 1, reverse, cell (it is dL/dc_t).
---@param hook fun(gradient: sonde.Tensor, where: { step: integer, layer: integer, reverse: boolean, cell: boolean })
---@return sonde.Handle
function Module:register_hidden_grad_hook(hook) end

---Change their tensor in place and return it. opts.generator: where they draw from.
---@class sonde.nn.init
---@field uniform_ fun(tensor: sonde.Tensor, a?: number, b?: number, opts?: table): sonde.Tensor 0, 1
---@field normal_ fun(tensor: sonde.Tensor, mean?: number, std?: number, opts?: table): sonde.Tensor 0, 1
---@field constant_ fun(tensor: sonde.Tensor, val: number): sonde.Tensor
---@field zeros_ fun(tensor: sonde.Tensor): sonde.Tensor
---@field ones_ fun(tensor: sonde.Tensor): sonde.Tensor
---@field xavier_uniform_ fun(tensor: sonde.Tensor, gain?: number|table): sonde.Tensor
---@field xavier_normal_ fun(tensor: sonde.Tensor, gain?: number|table): sonde.Tensor
---@field kaiming_uniform_ fun(tensor: sonde.Tensor, opts?: { a?: number, mode?: "fan_in"|"fan_out", nonlinearity?: string }): sonde.Tensor 0, "fan_in", "leaky_relu"
---@field kaiming_normal_ fun(tensor: sonde.Tensor, opts?: { a?: number, mode?: "fan_in"|"fan_out", nonlinearity?: string }): sonde.Tensor
---@field lecun_uniform_ fun(tensor: sonde.Tensor, opts?: { mode?: "fan_in"|"fan_out" }): sonde.Tensor "fan_in"
---@field lecun_normal_ fun(tensor: sonde.Tensor, opts?: { mode?: "fan_in"|"fan_out" }): sonde.Tensor
---@field trunc_normal_ fun(tensor: sonde.Tensor, mean?: number|table, std?: number, a?: number, b?: number, opts?: table): sonde.Tensor 0, 1; between -2 and 2
---@field orthogonal_ fun(tensor: sonde.Tensor, gain?: number|table): sonde.Tensor
---@field delta_orthogonal_ fun(tensor: sonde.Tensor, gain?: number|table): sonde.Tensor convolutions with at most as many input as output channels
---@field eye_ fun(tensor: sonde.Tensor): sonde.Tensor
---@field dirac_ fun(tensor: sonde.Tensor, groups?: integer|table): sonde.Tensor 1; convolutions that pass channels on
---@field sparse_ fun(tensor: sonde.Tensor, sparsity: number|table, std?: number, opts?: table): sonde.Tensor share of zeros in each column; 0.01
---@field critical_ fun(tensor: sonde.Tensor, nonlinearity: sonde.Activation|table, opts?: { sigma_b?: number, bias?: sonde.Tensor, mode?: "fan_in"|"fan_out", generator?: sonde.Generator }): sonde.Tensor, sonde.CriticalPoint at the edge of chaos, see sonde.theory
---@field lsuv_ fun(net: sonde.Module, x: sonde.Tensor, opts?: { std?: number, tol?: number, max_iters?: integer, orthogonal?: boolean, generator?: sonde.Generator }): sonde.Module, { path: string, std: number, iterations: integer }[] unit variance of each layer's output for x; 1, 0.1, 10, true
---@field fixup_ fun(net: sonde.Module, opts?: { nonlinearity?: string, mode?: string, zero_output?: boolean, generator?: sonde.Generator }): sonde.Module residual networks: branches scaled by depth, their last layers 0
---@field forget_bias_ fun(layer: sonde.Module, value?: number): sonde.Module 1; of LSTM, GRU and their cells
---@field chrono_ fun(layer: sonde.Module, t_max: number, opts?: { generator?: sonde.Generator }): sonde.Module memories of 1 to t_max steps
---@field fans fun(tensor: sonde.Tensor): integer, integer fan_in, fan_out
---@field spectral_radius_ fun(tensor: sonde.Tensor, spectral_radius: number): sonde.Tensor scales to it
---@field reservoir_ fun(tensor: sonde.Tensor, opts?: { spectral_radius?: number, links?: integer, generator?: sonde.Generator }): sonde.Tensor `links` elements in each row from U(-1, 1), scaled; 0.9, all
---@field calculate_gain fun(nonlinearity: string, param?: number): number
nn.init = {}

---A parameter `name` ("weight") of any module is no parameter any more but made of others at every call, which are
---module.parametrizations[name].original (or original0, original1) and have the gradients. All return the module.
---@class sonde.nn.utils.parametrizations
local parametrizations = {}

---w = g v/‖v‖ with a norm for each index of the axis dim (1), or one for all (false); g is original0, v original1.
---@param module sonde.Module
---@param name? string|{ name?: string, dim?: integer|false }
---@param dim? integer|false
---@return sonde.Module
function parametrizations.weight_norm(module, name, dim) end

---w = W/σ(W), the largest singular value of W as a matrix [dim, the others] by power iteration, in training before each
---value. dim: 1, of transposed convolutions 2.
---@param module sonde.Module
---@param name? string|{ name?: string, n_power_iterations?: integer, eps?: number, dim?: integer }
---@param n_power_iterations? integer 1
---@param eps? number 1e-12
---@param dim? integer
---@return sonde.Module
function parametrizations.spectral_norm(module, name, n_power_iterations, eps, dim) end

---The rows or columns of w, whichever are fewer, stay orthonormal. Default map: "matrix_exp" of a square weight, else
---"householder". use_trivialization (true): w = base · map(original), started at the weight there is.
---@param module sonde.Module
---@param name? string|{ name?: string, orthogonal_map?: "matrix_exp"|"cayley"|"householder", use_trivialization?: boolean }
---@param orthogonal_map? "matrix_exp"|"cayley"|"householder"
---@param use_trivialization? boolean
---@return sonde.Module
function parametrizations.orthogonal(module, name, orthogonal_map, use_trivialization) end

---@class sonde.nn.utils.parametrize
local parametrize = {}

---Parameter `name` is made by the parametrisation, a module or a function of the original. A module's method
---right_inverse(value) gives the originals for the value there is; without it that value is the original.
---@param module sonde.Module
---@param name string
---@param parametrization sonde.Module|fun(original: sonde.Tensor): sonde.Tensor
---@return sonde.Module
function parametrize.register_parametrization(module, name, parametrization) end

---Makes `name` a parameter again: of its present value, or (leave_parametrized false) of its one original.
---@param module sonde.Module
---@param name string
---@param leave_parametrized? boolean|table true
---@return sonde.Module
function parametrize.remove_parametrizations(module, name, leave_parametrized) end

---@param module sonde.Module
---@param name? string without it: is anything?
---@return boolean
function parametrize.is_parametrized(module, name) end

---@class sonde.nn.utils
---@field parametrizations sonde.nn.utils.parametrizations
---@field parametrize sonde.nn.utils.parametrize
local utils = {}
---Scales the gradients so that their total norm is at most max_norm.
---@param parameters sonde.Tensor|sonde.Tensor[]
---@param max_norm number
---@param opts? { norm_type?: number|"inf", error_if_nonfinite?: boolean } 2
---@return number total_norm before clipping
---@return number coef applied; NaN if the norm is not finite
function utils.clip_grad_norm_(parameters, max_norm, opts) end
---The same for each parameter by its own norm.
---@param parameters sonde.Tensor|sonde.Tensor[]
---@param max_norm number
---@param opts? { norm_type?: number|"inf", error_if_nonfinite?: boolean } 2
---@return number total_norm of all, before clipping
---@return number coef the smallest applied; NaN if a norm is not finite
function utils.clip_grad_norm_per_parameter_(parameters, max_norm, opts) end
---Adaptive clipping (Brock et al. 2021): a unit's gradient is at most clipping · max(‖w‖, eps).
---@param parameters sonde.Tensor|sonde.Tensor[]
---@param clipping? number 0.01
---@param eps? number 1e-3
---@return number total_norm of all, before clipping
---@return number coef the smallest applied; NaN if a norm is not finite
function utils.clip_grad_adaptive_(parameters, clipping, eps) end
---@param parameters sonde.Tensor|sonde.Tensor[]
---@param clip_value number
function utils.clip_grad_value_(parameters, clip_value) end
---@param parameters sonde.Tensor|sonde.Tensor[]
---@param norm_type? number|"inf" 2
---@return number
function utils.total_norm(parameters, norm_type) end
---for output, first, last in nn.utils.truncated_bptt(net, x, { steps = k }): a recurrent net on k steps after the other, each
---chunk from the detached states of the one before.
---@param net sonde.Module
---@param x sonde.Tensor
---@param opts { steps: integer, states?: sonde.Tensor[], dim?: integer } dim: of the steps, 1
---@return fun(): sonde.Tensor?, integer?, integer?
function utils.truncated_bptt(net, x, opts) end
---The largest modulus of the eigenvalues.
---@param tensor sonde.Tensor
---@return number
function utils.spectral_radius(tensor) end
---Least squares of y [N, O] from x [N, F] with ridge · ‖weight‖²; the constant is not penalised.
---@param x sonde.Tensor
---@param y sonde.Tensor
---@param ridge? number 0
---@return sonde.Tensor weight [O, F]
---@return sonde.Tensor bias [O]
function utils.ridge(x, y, ridge) end

return nn
