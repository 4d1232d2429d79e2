-- sonde show FILE: what is in a file, also in a live or a broken one.
local cli = require "sonde.cli"
local json = require "sonde.json"
local text = require "sonde.text"

local command = { usage = "FILE [--json]", summary = "what is in a file, also in a live or broken one" }

function command.parser(parser)
  parser:argument("file", "A run's file, or the FILE.part of one that is live or was killed.")
  parser:flag("--json", "One JSON document.")
end

-- name → value of all attributes of a path
local function attributes_of(file, path)
  local values = {}
  for _, name in ipairs(file:attributes(path) or {}) do
    local value = file:attribute(path, name)
    if type(value) == "userdata" then value = json.array(value:totable()) end
    values[name] = value
  end
  return values
end

-- The last value of a column of numbers that grows with the rows, or the text or number of a scalar; nil for the rest.
local function last_value(file, path, info, axes)
  if #info.shape == 0 then return (file:read(path)) end
  if axes[1] ~= "step" or #info.shape > 1 or info.shape[1] == 0 then return nil end
  local value = file:read(path, { start = { info.shape[1] }, count = { 1 } })
  return type(value) == "userdata" and value[1]:item() or nil
end

local function describe_group(file, path)
  local group = { attributes = attributes_of(file, path), datasets = {}, order = {} }
  for _, name in ipairs(file:list(path) or {}) do
    local full = path .. "/" .. name
    local info = file:info(full)
    if info and info.kind == "dataset" then
      local axes = file:axes(full) or {}
      if info.is_scale then axes = { name } end
      group.datasets[name] = { type = info.type, shape = json.array(info.shape), axes = json.array(axes),
                               last = last_value(file, full, info, axes) }
      group.order[#group.order + 1] = name
      if name == "step" then group.rows = info.shape[1] end
    elseif info then
      group.datasets[name] = { type = "group" }
      group.order[#group.order + 1] = name
    end
  end
  return group
end

-- Everything there is to tell: { file =, live =, attributes =, groups = { name = … } } and the groups' order.
local function describe(file, path)
  local document = { file = path, live = file:is_live(), attributes = attributes_of(file, "/"), groups = {} }
  local order = {}
  for _, name in ipairs(file:list("/") or {}) do
    local info = file:info("/" .. name)
    if info and info.kind == "group" then
      document.groups[name] = describe_group(file, "/" .. name)
      order[#order + 1] = name
    end
  end
  return document, order
end

local function print_head(document)
  local about = document.attributes
  local function say(format, ...) print(format:format(...)) end
  if document.live then print(document.file .. ": a run is writing it, or was killed (then: sonde recover)") end
  if not about.format then return say("%s: no file of sonde", document.file) end
  say("%s: %s, %s steps in %s s, seed %s", about.name ~= "" and about.name or document.file, about.status or "?",
    about.n_steps or "?", about.wall_seconds and text.number(about.wall_seconds) or "?", about.seed or "?")
  for _, name in ipairs { "about", "error", "command", "created", "producer" } do
    if about[name] and about[name] ~= "" then say("  %-9s %s", name, about[name]) end
  end
end

-- "l2_norm mean std [step 300 × probe 42]": columns of the same shape in one line.
local function print_group(name, group)
  local lines, places = {}, {}
  for _, dataset_name in ipairs(group.order) do
    local dataset = group.datasets[dataset_name]
    local sizes = {}
    for d, size in ipairs(dataset.shape or {}) do
      local axis = dataset.axes[d]
      sizes[d] = (axis and axis ~= "" and axis .. " " or "") .. size
    end
    local shape = table.concat(sizes, " × ")
    if not places[shape] then
      lines[#lines + 1] = { shape = shape, names = {} }
      places[shape] = #lines
    end
    local shown = dataset_name
    if type(dataset.last) == "number" then shown = ("%s=%s"):format(dataset_name, text.number(dataset.last)) end
    table.insert(lines[places[shape]].names, shown)
  end
  print(("/%s%s"):format(name, group.rows and (": %d rows"):format(group.rows) or ""))
  for _, line in ipairs(lines) do
    print(("  %s%s"):format(line.shape ~= "" and "[" .. line.shape .. "] " or "", table.concat(line.names, " ")))
  end
end

function command.run(options)
  local path = options.file
  local file, message = require "sonde.core".h5.open(path)
  if not file and not io.open(path, "rb") then
    local part = require "sonde.core".h5.open(path .. ".part")
    if part then file, path = part, path .. ".part" end
  end
  if not file then return cli.fail(message) end
  local document, order = describe(file, path)
  file:close()
  if options.json then
    for _, group in next, document.groups do group.order = nil end
    print(json.encode(document, "  "))
    return 0
  end
  print_head(document)
  for _, name in ipairs(order) do print_group(name, document.groups[name]) end
  return 0
end

return command
