-- sonde list [DIR]: the recipes of a folder.
local cli = require "sonde.cli"
local lfs = require "lfs"
local params = require "sonde.recipe.params"

local command = { usage = "[DIR]", summary = "the recipes with their questions and parameters" }

function command.parser(parser)
  parser:argument("dir", "The folder (default: experiments, here or beside the program's sources)."):args("?")
end

local function is_folder(path) return lfs.attributes(path, "mode") == "directory" end

local function default_folder()
  if is_folder("experiments") then return "experiments" end
  local sources = debug.getinfo(1, "S").source:match("^@(.*)/lua/sonde/cli/[^/]*$")
  return sources and is_folder(sources .. "/experiments") and sources .. "/experiments" or "."
end

-- Files that look like recipes, sorted.
local function candidates(folder)
  local paths = {}
  for entry in lfs.dir(folder) do
    local path = folder == "." and entry or folder .. "/" .. entry
    if entry:match("%.lua$") then
      local file = io.open(path, "rb")
      local text = file and file:read("a") or ""
      if file then file:close() end
      if ("\n" .. text):find("\nreturn%f[%W]") and text:find("run%s*=") then paths[#paths + 1] = path end
    end
  end
  table.sort(paths)
  return paths
end

local function parameter_line(declaration)
  local parts = { ("    %s = %s"):format(declaration.name, params.show(declaration.default)) }
  if declaration.about then parts[#parts + 1] = declaration.about end
  if declaration.choices then parts[#parts + 1] = "one of " .. params.show(declaration.choices) end
  return table.concat(parts, "  ·  ")
end

function command.run(options)
  local folder = options.dir or default_folder()
  if not is_folder(folder) then return cli.fail(("'%s' is no folder"):format(folder)) end
  local paths, code = candidates(folder), 0
  for _, path in ipairs(paths) do
    local recipe, message = require "sonde.run".load(path)
    if recipe then
      print(path .. (recipe.about ~= "" and "\n  " .. recipe.about or ""))
      for _, declaration in ipairs(recipe.declarations) do print(parameter_line(declaration)) end
    else
      code = cli.fail(message)
    end
  end
  if #paths == 0 then io.stderr:write(("sonde: there are no recipes in '%s'\n"):format(folder)) end
  return code
end

return command
