-- sonde lua: a plain Lua 5.4 script in this runtime.
local lua = {
  usage = "[-e CODE] [SCRIPT [ARGS]]",
  summary = "run a Lua 5.4 script with sonde at hand",
  about = "Runs SCRIPT as lua5.4 would, with the full standard library; `require \"sonde\"` works. `arg` holds the\n"
    .. "arguments, `-` is stdin, and -e runs CODE first.",
}

local function load_script(path)
  if path == "-" then return load(io.read("a"), "=stdin") end
  return loadfile(path)
end

local function fail(message)
  io.stderr:write("sonde lua: ", message, "\n")
  return 1
end

local function traceback(problem)
  local meta = getmetatable(problem)
  if type(problem) ~= "string" then
    if not (meta and meta.__tostring) then
      problem = ("an error that is a %s: %s"):format(type(problem), tostring(problem))
    end
    problem = tostring(problem)
  end
  return problem:find("\nstack traceback:", 1, true) and problem or debug.traceback(problem, 2)
end

local function run(chunk, arguments)
  local ok, problem = xpcall(chunk, traceback, table.unpack(arguments))
  return ok and 0 or fail(problem)
end

function lua.main(arguments)
  local at, code = 1, nil
  if arguments[1] == "--help" or arguments[1] == "-h" then return require "sonde.cli.help".main { "lua" } end
  if arguments[1] == "-e" then
    code, at = arguments[2], 3
    if not code then
      io.stderr:write("sonde lua: -e needs code\n")
      return 2
    end
  elseif not arguments[1] then
    io.stderr:write("Usage: sonde lua ", lua.usage, "\n")
    return 2
  end
  local path = arguments[at]
  local rest = table.move(arguments, at + 1, #arguments, 1, {})
  arg = table.move(rest, 1, #rest, 1, { [0] = path or "-e", [-1] = "lua", [-2] = arguments[0] })
  if code then
    local chunk, message = load(code, "=(command line)")
    if not chunk then return fail(message) end
    local exit = run(chunk, rest)
    if exit ~= 0 or not path then return exit end
  end
  local chunk, message = load_script(path)
  if not chunk then return fail(message) end
  return run(chunk, rest)
end

return lua
