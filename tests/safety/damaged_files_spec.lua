--- Files cut off anywhere, with bits turned and bytes overwritten: show, check, diff, diagnose and recover say what
--- they find or why they cannot, and never crash, hang or raise. DAMAGE_FIRST=N DAMAGE_COUNT=1 repeats one.
local damage = require "support.damage"
local json = require "sonde.json"
local process = require "support.process"
local recipe = require "support.recipe"

--- What is wrong with how a command ended: it raised, or failed without a sentence of one line; nil if nothing is.
local function trouble(result, wants_json)
  if result.code ~= 0 and result.code ~= 1 then return "exit code " .. result.code end
  if result.stderr:find("stack traceback", 1, true) then return result.stderr end
  -- (where the heap is damaged, glibc has the first word)
  if result.stderr ~= "" and not ("\n" .. result.stderr):find("\nsonde: [^\n]+\n") then return result.stderr end
  if wants_json and result.stdout ~= "" and not json.decode(result.stdout)
    and not result.stderr:find("crashes HDF5", 1, true) then
    return "no JSON: " .. result.stdout
  end
  if result.code == 1 and result.stdout == "" and result.stderr == "" then return "fails without a word" end
end

local function run(first, count)
  local dir <close> = process.tempdir()
  recipe.write(dir / "r.lua", {
    before = "local rnn = run:model(nn.RNN(2, 3), 'rnn') local input = sonde.randn(5, 2, 2) run:probe(rnn, "
      .. "{ name = 'rnn' })",
    forward = "rnn(input):sum():backward()",
    after = "run:event('end') run:save('w', net[1].weight)",
  })
  local done = process.sonde({ "run", "r.lua", "--quiet" }, { cwd = dir.path })
  assert.equal(0, done.code, done.stderr)
  local whole = process.read(dir / "small.h5")
  for number = first, first + count - 1 do
    process.write(dir / "bad.h5", damage(whole, number))
    for _, words in ipairs {
      { "show", "bad.h5" }, { "show", "bad.h5", "--json" }, { "check", "bad.h5", "--json" }, { "diagnose", "bad.h5" },
      { "diff", "small.h5", "bad.h5" }, { "diff", "bad.h5", "small.h5", "--json" },
    } do
      local wrong = trouble(process.sonde(words, { cwd = dir.path, timeout = 60 }), words[#words] == "--json")
      assert.is_nil(wrong, ("damage %d: %s: %s"):format(number, table.concat(words, " "), wrong))
    end
    os.rename(dir / "bad.h5", dir / "bad.h5.part")
    local wrong = trouble(process.sonde({ "recover", "bad.h5.part" }, { cwd = dir.path, timeout = 60 }))
    assert.is_nil(wrong, ("damage %d: recover: %s"):format(number, wrong))
    for _, name in ipairs { "bad.h5", "bad.h5.part", "bad.h5.tmp" } do os.remove(dir / name) end
  end
end

describe("a damaged file", function()
  it("is told from a whole one", function()
    run(tonumber(os.getenv "DAMAGE_FIRST") or 1, tonumber(os.getenv "DAMAGE_COUNT") or 20)
  end)

  it("is, in hundreds of ways #slow", function() run(1001, 300) end)
end)
