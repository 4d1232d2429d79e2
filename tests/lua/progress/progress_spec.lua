--- Progress: what is written, when, and for whom.
local progress = require "sonde.progress"

local function new(options)
  local out, now = {}, { 0 }
  options.clock = function() return now[1] end
  options.write = function(text) out[#out + 1] = text end
  options.width = function() return options.columns or 200 end
  options.utf8 = false
  return progress.new(options), out, now
end

describe("on a terminal", function()
  it("a bar is redrawn at most ten times a second", function()
    local bar, out, now = new { terminal = true }
    bar:expect(1000)
    for step = 1, 1000 do
      now[1] = step / 1000 -- one second in all
      bar:advance(step, 2.5)
    end
    assert.truthy(#out >= 9 and #out <= 10, #out)
    assert.truthy(out[5]:find("step %d+/1000"), out[5])
    assert.truthy(out[5]:find("loss 2.5", 1, true))
    assert.truthy(out[5]:find("1000 steps/s", 1, true))
    assert.truthy(out[5]:find("0:0%d left"))
    assert.truthy(out[5]:find("#", 1, true))
  end)

  it("the bar fits the terminal and goes away before a message", function()
    local bar, out, now = new { terminal = true, columns = 40 }
    bar:expect(10)
    now[1] = 1
    bar:advance(5, 1)
    assert.truthy(#out[1] <= 40 + #"\r\27[K", out[1])
    bar:message("careful")
    assert.equal("\r\27[K", out[2])
    assert.equal("sonde: careful\n", out[3])
  end)
end)

it("the bar takes what room there is", function()
  for _, case in ipairs { { 200, 24 }, { 60, 12 }, { 50, 0 } } do -- columns, cells of the bar
    local bar, out, now = new { terminal = true, columns = case[1] }
    bar:expect(10)
    now[1] = 1
    bar:advance(5, 1)
    assert.equal(case[2], #(out[1]:match("50 %% ([#.]+)  ") or ""))
    assert.truthy(out[1]:find("step 5/10  loss 1  5 steps/s  0:01 left", 1, true), out[1])
  end
end)

describe("elsewhere", function()
  it("a plain line comes every ten seconds and at the end", function()
    local bar, out, now = new { terminal = false }
    bar:expect(100)
    for step = 1, 100 do
      now[1] = step * 0.25
      bar:advance(step, 1)
    end
    bar:finish()
    assert.equal(3, #out)
    for _, line in ipairs(out) do
      assert.is_nil(line:find("[\r\27]"))
      assert.truthy(line:find("\n$"))
    end
  end)

  it("quiet means no progress, but messages", function()
    local bar, out, now = new { terminal = true, quiet = true }
    now[1] = 100
    bar:advance(3, 1)
    bar:message("careful")
    bar:finish()
    assert.same({ "sonde: careful\n" }, out)
  end)
end)
