-- sonde show FILE: what is in a file, also in a live or a broken one.
local cli = require "sonde.cli"
local text = require "sonde.text"

local command = { usage = "FILE [--json]", summary = "what is in a file, also in a live or broken one",
                  apart = true }

function command.parser(parser)
  parser:argument("file", "A run's file, or the FILE.part of one that is live or was killed.")
  parser:flag("--json", "One JSON document.")
end

local function say(format, ...) print(format:format(...)) end

local function print_head(document)
  local about, seconds = document.attributes, document.seconds
  if not about.format then return say("%s: no file of sonde", document.file) end
  local name = about.name ~= "" and about.name or document.file
  local state = about.status or "?"
  if document.live then state = document.writer and "running" or "killed" end
  say("%s: %s, %s steps%s%s, seed %s", name, state, document.steps or "?", document.writer and " so far" or "",
    seconds and (" in %s s"):format(text.number(seconds)) or "", about.seed or "?")
  if document.live and not document.writer then say("  `sonde recover %s` makes it whole", document.file) end
  for _, key in ipairs { "about", "error", "command", "created", "producer" } do
    if about[key] and about[key] ~= "" then say("  %-9s %s", key, about[key]) end
  end
end

local MOST = 30 -- names in a line

-- "step 300 × probe 42"; an axis that only counts the places of its own dataset has no name worth showing.
local function shape_of(name, dataset)
  local sizes = {}
  for d, size in ipairs(dataset.shape) do
    local axis = dataset.axes and dataset.axes[d] or ""
    if axis == ("%s_axis%d"):format(name, d) then axis = "" end
    sizes[d] = (axis ~= "" and axis .. " " or "") .. size
  end
  return table.concat(sizes, " × ")
end

local function shown(name, dataset)
  if dataset.error then return name .. " (unreadable)" end
  if type(dataset.last) == "number" then return ("%s=%s"):format(name, text.number(dataset.last)) end
  return name
end

-- "[step 300 × probe 42] l2_norm mean std": columns of the same shape in one line. Scales are told by the axes of the
-- others.
local function print_members(group, order)
  local lines, places = {}, {}
  local function add(shape, name)
    if not places[shape] then
      lines[#lines + 1] = { shape = shape, names = {} }
      places[shape] = lines[#lines]
    end
    table.insert(places[shape].names, name)
  end
  for _, name in ipairs(order) do
    local dataset = group.datasets[name]
    if not dataset then
      add("", name .. "/")
    elseif not dataset.is_scale then
      add(shape_of(name, dataset), shown(name, dataset))
    end
  end
  for _, line in ipairs(lines) do
    local more = #line.names - MOST
    say("  %s%s%s", line.shape ~= "" and "[" .. line.shape .. "] " or "",
      table.concat(line.names, " ", 1, math.min(#line.names, MOST)),
      more > 0 and (" … and %d more (--json tells all)"):format(more) or "")
  end
end

local function print_group(path, group, order)
  say("%s%s", path, group.rows and (": %d rows"):format(group.rows) or "")
  if group.error then return say("  unreadable: %s", group.error) end
  if group.same_as then return say("  the same as %s", group.same_as) end
  print_members(group, order[path])
end

function command.run(options)
  local file, path = require "sonde.history.open".file(options.file)
  if not file then return cli.fail(path) end
  local document, order = require "sonde.history.describe"(file, path)
  file:close()
  if options.json then
    print(require "sonde.json".encode(document, "  "))
    return 0
  end
  print_head(document)
  if document.error then say("  unreadable: %s", document.error) end
  local outside = {} -- datasets of the root
  for _, name in ipairs(order["/"]) do
    if document.datasets[name] then outside[#outside + 1] = name end
  end
  print_members(document, outside)
  for _, name in ipairs(order["/"]) do
    if document.groups[name] then print_group("/" .. name, document.groups[name], order) end
  end
  return 0
end

return command
