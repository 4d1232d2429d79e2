-- Recipes: loading a file, checking its fields, finding the line of it that an error came from.
local environment = require "sonde.recipe.environment"
local params = require "sonde.recipe.params"
local suggest = require "sonde.suggest"

local recipe = {}

local fields = { "about", "grid", "metrics", "name", "on_nonfinite", "params", "run" }
local reactions = { "continue", "skip", "stop" }

-- The message about a field's value, or nil if it is right.
local checks = {
  name = function(value)
    if type(value) ~= "string" or not value:match("^[%w_.+-]+$") or value:sub(1, 1) == "." then
      return "must be a text of letters, digits and any of _ . + - (it names the file)"
    end
  end,
  about = function(value)
    if type(value) ~= "string" then return "must be a text" end
  end,
  params = function(value)
    if type(value) ~= "table" then return "must be a table of parameters" end
  end,
  metrics = function(value)
    if type(value) ~= "table" then return "must be a list of names" end
    for i, name in ipairs(value) do
      if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
        return ("[%d]: '%s' is no name (letters, digits, _)"):format(i, tostring(name))
      end
    end
  end,
  on_nonfinite = function(value)
    for _, reaction in ipairs(reactions) do
      if value == reaction then return end
    end
    return suggest.unknown("choice", value, reactions)
  end,
  grid = function(value, given)
    if type(value) ~= "table" then return "must be a table of lists" end
    for name, list in environment.sorted_pairs(value) do
      if type(given.params) ~= "table" or given.params[name] == nil then
        return ("there is no parameter '%s'"):format(tostring(name))
      end
      if type(list) ~= "table" or #list == 0 then return ("%s: must be a list of values"):format(tostring(name)) end
    end
  end,
  run = function(value)
    if type(value) ~= "function" then return "must be a function (p, run)" end
  end,
}

-- Checks what a recipe file returned and makes the recipe of it; `where` begins messages. nil, message if it is wrong.
-- The result has the fields, `declarations` of the parameters, and `where`.
function recipe.check(given, where)
  if type(given) ~= "table" then
    return nil, ("%s: a recipe returns a table, this returned %s (is 'return { … }' missing?)"):format(where,
      type(given))
  end
  local made = { where = where, about = "", metrics = {}, params = {}, on_nonfinite = "continue" }
  local names = {}
  for key in next, given do names[#names + 1] = tostring(key) end
  table.sort(names)
  for _, name in ipairs(names) do
    if not checks[name] then return nil, where .. ": " .. suggest.unknown("field", name, fields) end
    local message = checks[name](given[name], given)
    if message then return nil, ("%s: field '%s' %s"):format(where, name, message) end
    made[name] = given[name]
  end
  if not made.run then
    return nil, ("%s: field 'run' is missing: a function (p, run) that trains"):format(where)
  end
  made.name = made.name or where:match("([^/]+)%.lua$") or where:match("[^/]+$")
  local declarations, message = params.declare(made.params)
  if not declarations then return nil, where .. ": " .. message end
  made.declarations = declarations
  return made
end

local function folder_of(path) return path:match("^(.*)/[^/]*$") or "." end

-- How Lua shortens a chunk's name in messages, so that the whole path can stand there again.
local function short_source(chunk)
  return debug.getinfo(load("", chunk), "S").short_src
end

-- Loads a recipe file. options: random (see environment.new), on_print. nil, message if it cannot be read, compiled or
-- run, or is no recipe. Besides recipe.check's fields the result has path, folder, source, modules (name → source,
-- growing while it runs) and chunks (chunk name → path).
function recipe.load(path, options)
  options = options or {}
  local source = environment.read(path)
  if not source then
    local file, reason = io.open(path, "rb")
    if file then
      file:close()
      reason = path .. ": is it a folder?"
    end
    return nil, "cannot read the recipe: " .. reason
  end
  local chunks = { ["@" .. path] = path }
  local record = { modules = {}, chunks = chunks }
  local folder = folder_of(path)
  local random = options.random or { random = math.random, randomseed = math.randomseed }
  local env = environment.new(folder, record, random, options.on_print or function() end)
  local chunk, message = environment.compile(source, path, env)
  if not chunk then
    message = recipe.whole_paths(message, chunks)
    return nil, message:sub(1, #path) == path and message or path .. ": " .. message
  end
  local ok, result = xpcall(chunk, function(problem) return recipe.reason(problem, chunks) end)
  if not ok then return nil, result end
  local made
  made, message = recipe.check(result, path)
  if not made then return nil, message end
  made.path, made.folder, made.source = path, folder, source
  made.modules, made.chunks = record.modules, chunks
  return made
end

-- A recipe made from a table in a script: its source is the file of its run function, where that can be read.
function recipe.from_table(given)
  local made, message = recipe.check(given, "recipe")
  if not made then return nil, message end
  local chunk = debug.getinfo(made.run, "S").source
  local path = chunk:match("^@(.*)")
  made.path, made.folder = path, path and folder_of(path)
  made.source = path and environment.read(path) or ""
  made.modules, made.chunks = {}, { [chunk] = path or "script" }
  return made
end

-- Puts the whole path where Lua shortened it.
function recipe.whole_paths(message, chunks)
  for chunk, path in next, chunks do
    local short = short_source(chunk)
    if short ~= path then
      local from, to = message:find(short .. ":", 1, true)
      if from then message = message:sub(1, from - 1) .. path .. ":" .. message:sub(to + 1) end
    end
  end
  return message
end

-- "file:line" of the recipe's innermost frame above the caller, or nil outside a recipe.
function recipe.line(chunks, level)
  for i = (level or 1) + 1, math.huge do
    local frame = debug.getinfo(i, "Sl")
    if not frame then return nil end
    local path = chunks[frame.source]
    if path and frame.currentline > 0 then return ("%s:%d"):format(path, frame.currentline) end
  end
end

-- One message with the recipe's file and line in front, from an error value; to be called in a message handler.
function recipe.reason(problem, chunks)
  if getmetatable(problem) and getmetatable(problem).__tostring then problem = tostring(problem) end
  if type(problem) ~= "string" then
    problem = type(problem) == "number" and tostring(problem) or ("an error that is a %s"):format(type(problem))
  end
  local message = recipe.whole_paths(problem:gsub("\nstack traceback:.*", ""), chunks)
  for _, path in next, chunks do
    if message:sub(1, #path + 1) == path .. ":" then return message end
  end
  local line = recipe.line(chunks, 2)
  if not line then return message end
  -- A position inside the library tells the reader nothing: the recipe's line takes its place.
  return line .. ": " .. message:gsub("^[^\n:]*lua/sonde/[%w_/]+%.lua:%d+: ", "")
end

return recipe
