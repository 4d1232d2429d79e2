-- The format "sonde-history" 1.0 as tables: what a file must hold, for `sonde check`.
local format = { name = "sonde-history", version = "1" }

-- Attributes of the root and their types.
format.attributes = {
  format = "string", format_version = "string", name = "string", about = "string", status = "string", error = "string",
  created = "string", producer = "string", command = "string", default = "string",
  seed = "int64", n_steps = "int64", threads = "int64", wall_seconds = "float64",
}
format.statuses = { "running", "complete", "interrupted", "failed", "recovered" }

-- Texts of /run; true: JSON.
format.run = {
  recipe_source = false, modules = true, params = true, overrides = true, environment = true, model = false,
  notes = true,
}

-- Types of columns: the stored types that will do.
format.types = {
  moment = { float32 = true, float64 = true },
  float64 = { float64 = true },
  uint32 = { uint32 = true },
  int64 = { int64 = true },
  integer = { int8 = true, int16 = true, int32 = true, int64 = true, uint8 = true, uint16 = true, uint32 = true },
  string = { string = true },
}

-- Columns of one type with the same axes, added to a group's. optional: they may be absent.
local function columns(group, type, axes, names, optional)
  for name in names:gmatch("%S+") do group[name] = { type = type, axes = axes, optional = optional } end
end

local rows, probes, cells = { "step" }, { "probe" }, { "step", "probe" }

-- complete: with everything that tells where a probe sits.
local function probed(norms, moments, counts, complete)
  local group = {}
  columns(group, "string", probes, "probe")
  columns(group, "string", probes, "layer module role", not complete)
  columns(group, "integer", probes, "depth", not complete)
  columns(group, "integer", probes, "n_elements", true)
  columns(group, "float64", rows, "time")
  columns(group, "float64", cells, norms)
  columns(group, "moment", cells, moments)
  columns(group, "uint32", cells, counts)
  return group
end

local function histogram()
  local group = probed("", "", "n_zero n_subnormal n_nonfinite")
  columns(group, "integer", { "binade" }, "binade")
  columns(group, "uint32", { "step", "probe", "binade" }, "counts")
  for precision in ("float16 bfloat16 float8_e4m3 float8_e5m2"):gmatch("%S+") do
    for name in ("underflow_frac loss_scale scaled_underflow_frac"):gmatch("%S+") do
      columns(group, "moment", cells, precision .. "_" .. name, true)
    end
  end
  return group
end

local function gains()
  local group = probed("gain", "", "")
  columns(group, "string", probes, "kind", true)
  return group
end

local function through_time(more_rows, more_times)
  local group = { l2_norm = { type = "float64", axes = { "step", "probe", "time_step" } } }
  columns(group, "string", probes, "probe")
  columns(group, "integer", { "time_step" }, "time_step " .. more_times)
  columns(group, "integer", rows, more_rows)
  return group
end

-- A costly measure; values: of the largest so many, along `index`.
local function costly(numbers, values)
  local group = probed(numbers, "", "")
  if not values then return group end
  columns(group, "integer", { "index" }, "index")
  columns(group, "float64", { "step", "probe", "index" }, values)
  return group
end

local gradient_moments = "mean std abs_mean abs_max zero_frac positive_frac"

-- Groups by name, and the columns each must have besides `step`. A group need not be there; more columns may be.
format.groups = {
  metrics = {},
  weight_grad = probed("l2_norm", gradient_moments, "n_subnormal n_nonfinite", true),
  activation_grad = probed("l2_norm", gradient_moments, "n_subnormal n_nonfinite", true),
  activation = probed("l2_norm",
    "mean std abs_max zero_frac slope_rms saturated_frac dead_frac idle_frac sample_cosine", "n_nonfinite"),
  weight = probed("l2_norm update_l2_norm", "update_ratio unchanged_frac", ""),
  weight_grad_hist = histogram(),
  activation_grad_hist = histogram(),
  gain = gains(),
  weight_drift = probed("init_distance", "grad_cosine init_distance_ratio", ""),
  hidden_grad = through_time("length", ""),
  hidden_jacobian = through_time("", "lag"),
  skip = probed("skip_l2_norm branch_l2_norm", "branch_share cosine", "", true),
  gate = probed("", "openness open_frac closed_frac saturated_frac", "", true),
  gradient_noise = costly("grad_sq trace noise_scale"),
  hessian = costly("eigenvalue smallest iterations residual"),
  jacobian = costly("sigma_max sigma_min condition mean_square", "singular_values"),
  lyapunov = costly("largest", "exponents"),
  cost = { probe = { type = "string", axes = probes } },
  validation = {},
  events = {},
}
columns(format.groups.hidden_jacobian, "integer", rows, "length", true)
columns(format.groups.metrics, "float64", rows, "time epoch loss lr grad_norm clip_coef")
columns(format.groups.weight_grad, "integer", probes, "n_elements")
columns(format.groups.activation_grad, "integer", cells, "n_elements")
columns(format.groups.cost, "float64", rows, "time")
columns(format.groups.cost, "float64", cells, "seconds")
columns(format.groups.validation, "float64", rows, "loss accuracy")
columns(format.groups.events, "float64", rows, "time value")
columns(format.groups.events, "integer", rows, "code")

local never_negative = {}
for name in ("std slope_rms update_ratio gain seconds sigma_max sigma_min condition mean_square singular_values "
  .. "iterations residual"):gmatch("%S+") do
  never_negative[name] = true
end

-- What the numbers of a column of the format must lie between where they are measured; nil, nil: anything goes.
function format.limits(name)
  if name:find("_frac$") or name == "openness" or name == "branch_share" then return 0, 1 end
  if name == "grad_cosine" then return -1, 1 end
  if never_negative[name] or name:find("l2_norm$") or name:find("^abs_") or name:find("_loss_scale$")
    or name:find("^init_distance") then
    return 0, math.huge
  end
end

return format
