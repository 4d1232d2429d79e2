--- Programs run from a spec: what they print, what they leave, how they end.
local lfs = require "lfs"

local process = {}

--- A word as the shell must see it.
function process.quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

function process.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

function process.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

--- The first line a command prints.
local function first_line(command)
  local pipe = io.popen(command)
  local line = pipe:read("l")
  return assert(pipe:close() and line, command)
end

--- The top of the source tree, absolute.
local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
process.root = first_line("cd -P " .. process.quote(folder .. "/../..") .. " && pwd")

--- A new empty folder, removed with all in it when the variable that holds it closes:
---   local dir <close> = process.tempdir()     -- tostring(dir), dir / "file"
local Dir = {}
Dir.__index = Dir
Dir.__tostring = function(dir) return dir.path end
Dir.__div = function(dir, name) return dir.path .. "/" .. name end
Dir.__close = function(dir) os.execute("rm -rf " .. process.quote(dir.path)) end

function process.tempdir()
  return setmetatable({ path = first_line("mktemp -d") }, Dir)
end

--- Runs a command (a list of words, or one line for the shell) and returns { code =, stdout =, stderr = }.
--- opts: cwd =, stdin = text, env = { NAME = value }, timeout = seconds (300). A signal n gives the code 128 + n.
function process.run(command, opts)
  opts = opts or {}
  local dir <close> = process.tempdir()
  if type(command) == "table" then
    local words = {}
    for i, word in ipairs(command) do words[i] = process.quote(word) end
    command = table.concat(words, " ")
  end
  local env = {}
  for name, value in pairs(opts.env or {}) do env[#env + 1] = name .. "=" .. process.quote(value) end
  process.write(dir / "stdin", opts.stdin or "")
  local line = ("cd %s && timeout -k 5 %d env %s /bin/sh -c %s <%s >%s 2>%s"):format(
    process.quote(opts.cwd or lfs.currentdir()), opts.timeout or 300, table.concat(env, " "),
    process.quote(command), process.quote(dir / "stdin"), process.quote(dir / "stdout"), process.quote(dir / "stderr"))
  local _, kind, code = os.execute(line)
  if kind == "signal" then code = 128 + code end
  return { code = code, stdout = process.read(dir / "stdout"), stderr = process.read(dir / "stderr") }
end

--- The interpreter that runs this spec, ready to run another script: { "…/build/sonde", "lua" } or { "lua5.4" }.
function process.interpreter()
  local exe = assert(lfs.symlinkattributes("/proc/self/exe", "target"))
  return exe:match("[^/]+$") == "sonde" and { exe, "lua" } or { exe }
end

--- The program itself, with arguments: process.sonde({ "run", "recipe.lua" }, { cwd = dir.path }).
function process.sonde(args, opts)
  return process.run({ process.interpreter()[1], table.unpack(args) }, opts)
end

--- Runs Python source with Debian's interpreter, which has the packages that read our files.
function process.python(source, args, opts)
  return process.run({ "/usr/bin/python3", "-c", source, table.unpack(args or {}) }, opts)
end

return process
