--- All tests: `sonde lua tests/run.lua [slow|asan] [PATTERN…]`, also with plain lua5.4 in place of `sonde lua`.
--- Every program of tests/runtime and every *_spec.lua runs as a process of its own, as many at once as there are
--- cores: a crash is one failure, and what a file leaves behind is found. A PATTERN is a part of a file's path.
--- The default tier leaves out what is tagged #slow; slow runs everything; asan (a build with sanitizers) leaves out
--- tests/science, whose numbers the other tiers check.
local lfs = require "lfs"

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path
local process = require "support.process"

local tier, patterns = "default", {}
for i, word in ipairs(arg) do
  if i == 1 and (word == "slow" or word == "asan") then tier = word else patterns[#patterns + 1] = word end
end

local function wanted(path)
  if tier == "asan" and path:find("/science/", 1, true) then return false end
  for _, pattern in ipairs(patterns) do
    if path:find(pattern, 1, true) then return true end
  end
  return #patterns == 0
end

--- Adds the files below `folder` whose name ends in `ending`, sorted.
local function collect(folder, ending, found)
  local names = {}
  if lfs.attributes(folder, "mode") == "directory" then
    for name in lfs.dir(folder) do names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) == "." then -- this folder, the one above, hidden ones
    elseif lfs.attributes(path, "mode") == "directory" then
      collect(path, ending, found)
    elseif name:sub(-#ending) == ending and wanted(path) then
      found[#found + 1] = path
    end
  end
  return found
end

local interpreter = process.interpreter()
local build = interpreter[2] and interpreter[1]:match("^(.*)/") or here .. "/../build"

--- What to run: { name =, command = { words } }. The long ones (science, then the programs) start first.
local function plan()
  local jobs = {}
  local function add(name, command) jobs[#jobs + 1] = { name = name, command = command } end
  local specs = collect(here, "_spec.lua", {})
  local function add_specs(science)
    for _, path in ipairs(specs) do
      if (path:find("/science/", 1, true) ~= nil) == science then
        local command = table.move(interpreter, 1, #interpreter, 1, {})
        for _, word in ipairs { here .. "/support/spec.lua", path, tier } do command[#command + 1] = word end
        add(path, command)
      end
    end
  end
  add_specs(true)
  for _, path in ipairs(collect(here .. "/runtime", "_test.c", {})) do
    add(path, { build .. "/tests/" .. path:match("([^/]+)%.c$") })
  end
  add_specs(false)
  return jobs
end

--- Starts all jobs, `nproc` at a time; calls finished(job, code, output) as each ends.
local function run(jobs, finished)
  local dir <close> = process.tempdir()
  local seconds = tier == "default" and 600 or 3600
  local numbers = {}
  for i, job in ipairs(jobs) do
    local words = {}
    for k, word in ipairs(job.command) do words[k] = process.quote(word) end
    process.write(dir / (i .. ".sh"), ("timeout -k 5 %d %s >%s 2>&1 </dev/null; echo %d $?\n"):format(
      seconds, table.concat(words, " "), process.quote(dir / (i .. ".out")), i))
    numbers[i] = i
  end
  local list = process.write(dir / "list", table.concat(numbers, "\n") .. "\n")
  local pool = io.popen(("xargs -P \"$(nproc)\" -I {} sh %s/{}.sh <%s"):format(process.quote(dir), process.quote(list)))
  for line in pool:lines() do
    local i, code = line:match("^(%d+) (%d+)$")
    finished(jobs[tonumber(i)], tonumber(code), process.read(dir / (i .. ".out")))
  end
  pool:close()
end

--- How many of a job's tests passed and failed: a spec prints "N passed, N failed" at its end, a program "ok NAME" or
--- "FAILED NAME" for each test. A job that names no failure and yet ends badly, or names nothing at all, has one.
local function count(code, output)
  local passed, failed
  for line in output:gmatch("[^\n]+") do
    local good, bad = line:match("^(%d+) passed, (%d+) failed$")
    if good then
      passed, failed = tonumber(good), tonumber(bad)
    elseif line:match("^ok [%w_]+$") then
      passed = (passed or 0) + 1
    elseif line:match("^FAILED [%w_]+$") then
      failed = (failed or 0) + 1
    end
  end
  local silent = not passed and not failed
  passed, failed = passed or 0, failed or 0
  if failed == 0 and (silent or code ~= 0) then failed = 1 end
  return passed, failed
end

local jobs = plan()
if #jobs == 0 then
  io.stderr:write("no test file matches ", table.concat(patterns, " "), "\n")
  os.exit(2)
end
local passed, failed, done = 0, 0, 0
run(jobs, function(job, code, output)
  local good, bad = count(code, output)
  passed, failed, done = passed + good, failed + bad, done + 1
  local name = job.name:sub(1, #here + 1) == here .. "/" and job.name:sub(#here + 2) or job.name
  print(("[%d/%d] %s %s: %d passed, %d failed"):format(done, #jobs, bad == 0 and "ok" or "FAILED", name, good, bad))
  if bad > 0 then
    print(output)
    if code == 124 or code == 137 then print("(ended by the time limit)") end
    if code > 128 then print("(ended by signal " .. code - 128 .. ")") end
  end
end)
failed = failed + (#jobs - done) -- jobs that never reported
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
