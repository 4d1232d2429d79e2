-- ./sonde itself, in a tree of its own whose tools are stand-ins that write down how they were called.
local process = require "support.process"

local tools = {
  -- dpkg-query -W -f FORMAT PACKAGE…: all but those in $ABSENT are installed
  ["dpkg-query"] = [[shift 3
for p in "$@"; do case " $ABSENT " in *" $p "*) ;; *) echo "installed $p" ;; esac; done; test -z "$ABSENT"]],
  ["apt-get"] = [[echo "apt-get $*" >>"$CALLS"; exit "${APT_CODE:-0}"]],
  sleep = [[case $1 in 10) exec /bin/sleep 0.1 ;; *) exec /bin/sleep "$1" ;; esac]],
  id = [[echo "${USER_ID:-0}"]],
  -- configuring is written down; building makes a program that prints its arguments
  cmake = [[echo "cmake $*" >>"$CALLS"; case $1 in
--build) echo '[ 40%] Building a.o'; sleep "${BUILD_TIME:-0}" ;; *) exit 0 ;; esac
test -z "$BROKEN" || { echo "main.c:1: error: broken"; exit 2; }
printf '#!/bin/sh\necho "launched by $SONDE_LAUNCHER" >&2; for a in "$@"; do printf "[%%s]" "$a"; done; exit 7\n' \
  >"$2/sonde"
chmod +x "$2/sonde"]],
}

describe("the launcher", function()
  local dir, tree, calls
  before_each(function()
    dir = process.tempdir()
    tree, calls = dir / "a tree", dir / "calls"
    process.run { "mkdir", "-p", tree .. "/runtime", tree .. "/tests/runtime", dir / "bin" }
    process.run { "cp", process.root .. "/sonde", tree }
    process.write(tree .. "/CMakeLists.txt", "")
    process.write(calls, "")
    for name, script in pairs(tools) do
      process.run { "chmod", "+x", process.write(dir / ("bin/" .. name), "#!/bin/sh\n" .. script .. "\n") }
    end
  end)
  after_each(function() process.run { "rm", "-rf", tostring(dir) } end)

  local function run(command, env)
    local all = { CALLS = calls, PATH = dir / "bin" .. ":" .. os.getenv "PATH" }
    for name, value in pairs(env or {}) do all[name] = value end
    return process.run(command, { env = all, cwd = "/" })
  end
  local function start(words, env) return run({ tree .. "/sonde", table.unpack(words) }, env) end
  local function called() return process.read(calls) end

  it("builds quietly, then becomes the program with the same arguments", function()
    local result = start { "run", "a b", "$x" }
    assert.same({ 7, "[run][a b][$x]" }, { result.code, result.stdout })
    assert.matches("building into", result.stderr)
    assert.matches("cmake .*%-S .*a tree %-B .*build.*\ncmake %-%-build", called())
  end)

  it("does nothing more when nothing has changed, and builds when something has", function()
    start {}
    local before = called()
    assert.equal("launched by " .. tree .. "/sonde\n", start({}).stderr)
    assert.equal(before, called())
    process.run "sleep 0.02" -- files are dated by the kernel's clock tick
    for _, change in ipairs { "touch runtime/new.c", "rm runtime/new.c", "touch CMakeLists.txt" } do
      process.run({ "sh", "-c", change }, { cwd = tree })
      start {}
      assert.not_equal(before, called(), change)
      before = called()
      start {}
      assert.equal(before, called(), change)
      process.run "sleep 0.02"
    end
    start({}, { CC = "clang" })
    assert.matches("cmake %-%-fresh", called():sub(#before))
    start({}, { SONDE_PORTABLE = "1" })
    assert.matches("SONDE_PORTABLE=ON", called():sub(#before))
  end)

  it("works through links", function()
    process.run({ "ln", "-s", "a tree/sonde", "one" }, { cwd = tostring(dir) })
    process.run({ "ln", "-s", dir / "one", "two" }, { cwd = tostring(dir) })
    assert.equal("[x]", run({ dir / "two", "x" }).stdout)
  end)

  it("builds once when started many times at once", function()
    local line = ("for i in 1 2 3 4; do '%s/sonde' $i & done; wait"):format(tree)
    local result = run(line, { BUILD_TIME = "0.3" })
    local _, builds = called():gsub("cmake %-%-build", "")
    assert.equal(1, builds)
    for i = 1, 4 do assert.matches("[" .. i .. "]", result.stdout, 1, true) end
  end)

  it("says what goes on and how far it is", function()
    local result = start({}, { BUILD_TIME = "0.5", ABSENT = "cmake" })
    assert.matches("installing them: .*\nsonde: this takes a minute or a few", result.stderr)
    assert.matches("building into .*/build: a minute or two, this once\n", result.stderr)
    assert.matches("\nsonde: 10 s: %[ 40%%%] Building a%.o\nsonde: 20 s: ", result.stderr)
    process.run({ "touch", "runtime/new.c" }, { cwd = tree })
    assert.matches("building into .*/build what has changed\n", start({}).stderr)
  end)

  it("explains its own commands without building", function()
    for _, name in ipairs { "test", "bench" } do
      for _, words in ipairs { { name, "--help" }, { name, "-h" }, { "help", name } } do
        local result = start(words)
        assert.same({ 0, "" }, { result.code, result.stderr })
        assert.matches("^Usage: %./sonde " .. name, result.stdout)
      end
    end
    assert.equal("", called())
  end)

  it("shows why a build failed", function()
    local result = start({}, { BROKEN = "1" })
    assert.equal(1, result.code)
    assert.matches("error: broken\n.*build.log", result.stderr)
    assert.equal(7, start({}).code)
  end)

  it("names what is missing, then installs it", function()
    local result = start({}, { ABSENT = "cmake libhdf5-dev" })
    assert.equal(7, result.code)
    assert.matches("missing packages:\n  cmake %(the build%)\n  libhdf5%-dev %(the files it writes%)\n", result.stderr)
    assert.matches("apt%-get update.*\napt%-get install .* cmake libhdf5%-dev\n", called())
  end)

  it("says what to install where it cannot", function()
    local failed = start({}, { ABSENT = "cmake", APT_CODE = "100" })
    assert.equal(1, failed.code)
    assert.matches("install them by hand: apt%-get install cmake\n", failed.stderr)
    for _, name in ipairs { "sh", "sed", "dirname", "readlink", "cat", "grep", "cksum", "find" } do -- and no sudo
      process.run(("ln -s \"$(command -v %s)\" '%s'"):format(name, dir / ("bin/" .. name)))
    end
    local user = start({}, { ABSENT = "cmake", USER_ID = "1000", PATH = dir / "bin" })
    assert.equal(1, user.code)
    assert.matches("only root can install them; run: apt%-get install cmake\n", user.stderr)
    process.run { "rm", dir / "bin/apt-get", dir / "bin/cmake" }
    local elsewhere = start({}, { PATH = dir / "bin" })
    assert.equal(1, elsewhere.code)
    assert.matches("not Debian.*\n  liblua5.4%-dev %(Lua", elsewhere.stderr)
  end)
end)
