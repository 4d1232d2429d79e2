-- The command lines of runs, as one types them.
local Run = require "sonde.run.object"
local fail = require "sonde.fail"
local params = require "sonde.recipe.params"
local sorted_pairs = require "sonde.recipe.environment".sorted_pairs
local suggest = require "sonde.suggest"

local command = { program = "sonde" } -- whoever reads the command line fills in what was typed

local function quote(word)
  if word:match("^[%w_./=:,+-]+$") then return word end
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

-- "sonde run r.lua --set width=4 -o x.h5". options: recipe, and as the command line has them: set (a list of
-- "name=value"), data (a list), seed, output, threads, force, quiet, trust.
function command.text(program, options)
  local words = { quote(program), "run", quote(options.recipe) }
  local function add(...)
    for _, word in ipairs { ... } do words[#words + 1] = quote(tostring(word)) end
  end
  for _, text in ipairs(options.set) do add("--set", text) end
  for _, folder in ipairs(options.data) do add("--data", folder) end
  for _, name in ipairs { "seed", "output", "threads" } do
    if options[name] then add(name == "output" and "-o" or "--" .. name, options[name]) end
  end
  for _, name in ipairs { "force", "quiet", "trust" } do
    if options[name] then add("--" .. name) end
  end
  return table.concat(words, " ")
end

-- What to type, in the folder this run was started in, to get it again with these changes:
-- run:command { set = { activation = "relu" }, out = "cured.h5" }
function Run:command(changes)
  changes = suggest.check_options("run:command", changes, { "out", "set" })
  if not self.recipe.path then fail("run:command: this recipe is no file") end
  local set, list = {}, {}
  for _, values in ipairs { self.overrides or {}, changes.set or {} } do
    for name, value in next, values do set[name] = value end
  end
  for name, value in sorted_pairs(set) do list[#list + 1] = name .. "=" .. params.show(value) end
  return command.text(command.program, {
    recipe = self.recipe.path, set = list, data = require "sonde.data.find".folders,
    seed = self.seed ~= 1 and self.seed or nil, output = changes.out,
  })
end

return command
