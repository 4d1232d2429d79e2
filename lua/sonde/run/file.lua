-- The file of a run: opening it, what /run holds, finishing it. Failures raise.
local core = require "sonde.core"
local provenance = require "sonde.run.provenance"
local sorted_pairs = require "sonde.recipe.environment".sorted_pairs

local File = {}
File.__index = File

local function check(ok, message)
  if not ok then error(message, 0) end
  return ok
end

-- A finished file in which nothing happened: a run that ended before its first step. It may be replaced.
local function is_empty(path)
  local file = core.h5.open(path)
  if not file then return false end
  local empty = file:attribute("/", "format") == "sonde-history" and file:attribute("/", "status") ~= "complete"
    and file:attribute("/", "n_steps") == 0
  file:close()
  return empty
end

-- options: path, force, recipe, command, seed, threads, values (of the parameters), set (what was overridden).
-- nil, message where the file cannot be made. `replaces`: it stands in for a file of a run that has more in it.
function File.open(options)
  local existing = io.open(options.path, "rb")
  if existing then existing:close() end
  if existing and options.path == options.recipe.path then
    return nil, ("'%s' is the recipe itself; name another file to write"):format(options.path)
  end
  local empty = existing and is_empty(options.path)
  local writer, message = core.h5.writer {
    path = options.path, force = options.force or empty or false,
    name = options.recipe.name, about = options.recipe.about, command = options.command, seed = options.seed,
    threads = options.threads,
  }
  if not writer then return nil, message end
  return setmetatable({ path = options.path, replaces = existing and not empty, writer = writer, options = options,
                        texts = {} }, File)
end

function File:put(path, value, axes) check(self.writer:put(path, value, axes)) end
function File:check() check(self.writer:check()) end
function File:late(...) return self.writer:late(...) end

-- Texts of /run; those that have not changed since are not written again.
function File:put_texts(run)
  for name, text in sorted_pairs(provenance.texts(self.options, run)) do
    if self.texts[name] ~= text then
      self:put("/run/" .. name, text)
      self.texts[name] = text
    end
  end
end

-- The structure is complete: from now on rows go to the file.
function File:start(run)
  self:put_texts(run)
  check(self.writer:put_attribute("/events", "codes", run.events.legend()))
  check(self.writer:start(run.history))
  run.events:attach(self.writer)
end

-- Ends the file. result: what the recipe returned (nil, or a table of numbers, lists and tensors).
function File:finish(run, ending, result)
  if not self.writer:started() then
    if not run.rows.columns then run.rows:declare() end
    self:start(run)
  end
  self:put_texts(run)
  for name, value in sorted_pairs(result or {}) do self:put("/result/" .. name, value) end
  local ok, message = self.writer:finish {
    status = ending.status, error = ending.error, n_steps = run.step, wall_seconds = run:seconds(),
  }
  self.writer:close()
  check(ok, message)
end

-- Ends without finishing: FILE.part stays, to be recovered.
function File:abandon() self.writer:close() end

return File
