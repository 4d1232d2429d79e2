--- Expectations that specs of tensors and modules share.
local expect = {}

--- fn fails with a message that contains `text` and names a line of fn itself: the caller's, not the library's.
function expect.error(text, fn, ...)
  local info = debug.getinfo(fn, "S")
  local ok, message = pcall(fn, ...)
  if ok then error(("expected an error with %q, there was none"):format(text), 2) end
  message = tostring(message)
  if not message:find(text, 1, true) then error(("expected an error with %q, got: %s"):format(text, message), 2) end
  local file, line = message:match("^(.-):(%d+): ")
  line = tonumber(line)
  if file ~= info.short_src or not line or line < info.linedefined or line > info.lastlinedefined then
    error(("expected the error at lines %d to %d of %s, got: %s"):format(
      info.linedefined, info.lastlinedefined, info.short_src, message), 2)
  end
  return message
end

local function compare(actual, wanted, tolerance, path)
  if type(wanted) == "table" then
    if type(actual) ~= "table" or #actual ~= #wanted then return ("%s: %s elements"):format(path, #actual) end
    for i = 1, #wanted do
      local difference = compare(actual[i], wanted[i], tolerance, path .. "[" .. i .. "]")
      if difference then return difference end
    end
  elseif wanted ~= wanted then
    if actual == actual then return ("%s: expected NaN, got %s"):format(path, actual) end
  elseif actual ~= wanted and not (math.abs(actual - wanted) <= tolerance) then
    return ("%s: expected %.9g, got %s"):format(path, wanted, tostring(actual))
  end
end

--- The values of a tensor (or nested table, or number) are those of `wanted`, within tolerance (1e-6).
function expect.values(wanted, actual, tolerance)
  if getmetatable(actual) == "Tensor" then actual = actual:totable() end
  local difference = compare(actual, wanted, tolerance or 1e-6, "values")
  if difference then error(difference, 2) end
end

function expect.shape(wanted, tensor)
  expect.values(wanted, tensor:shape(), 0)
end

--- Runs fn with the collector working at its hardest.
function expect.under_pressure(fn)
  local pause, step = collectgarbage("setpause", 1), collectgarbage("setstepmul", 1000)
  local ok, message = pcall(fn)
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", step)
  if not ok then error(message, 0) end
end

--- After fn and a collection, as many objects are alive as before.
function expect.no_leak(core, fn)
  for _ = 1, 3 do collectgarbage() end
  local before = core.live()
  fn()
  for _ = 1, 3 do collectgarbage() end
  for kind, n in pairs(core.live()) do
    if n ~= before[kind] then error(("%d %s before, %d after"):format(before[kind], kind, n), 2) end
  end
end

return expect
