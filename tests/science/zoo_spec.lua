--- The pathology zoo: small trainings, ill and healthy, each diagnosed from its file. Every ill run must be named for
--- what it has, since when and where, and a healthy one for nothing. The quick cases run by default, all with #slow.
local process = require "support.process"
local judge = require "support.zoo_judge"
local zoo = require "support.zoo"

local cases = {}
for _, part in ipairs { "cases", "variants", "time", "ill", "healthy" } do
  for _, case in ipairs(require("support.zoo_" .. part)) do cases[#cases + 1] = case end
end

local function contains(list, item)
  for _, x in ipairs(list or {}) do
    if x == item then return true end
  end
  return false
end

--- Counts per pathology (and "healthy"): runs that have it, named rightly, missed, named wrongly.
local function tally()
  local table_of, order = {}, {}
  local function row(name)
    if not table_of[name] then
      table_of[name] = { cases = 0, right = 0, missed = 0, wrong = 0 }
      order[#order + 1] = name
    end
    return table_of[name]
  end
  return row, order
end

local function run_zoo(wanted)
  local row, order = tally()
  local faults, right, missed_all, wrong_all = {}, 0, 0, 0
  local folder <close> = process.tempdir()
  for _, case in ipairs(cases) do
    if wanted(case) then
      local report, trouble = zoo.diagnose(case, folder)
      assert(report, ("%s: %s"):format(case.name, trouble))
      local missed, extra, fault = judge(case, report)
      for _, name in ipairs(#case.expect > 0 and case.expect or { "healthy" }) do
        local counts = row(name)
        counts.cases = counts.cases + 1
        if contains(missed, name) or (name == "healthy" and #extra > 0) then
          counts.missed = counts.missed + 1
        else
          counts.right = counts.right + 1
        end
      end
      for _, name in ipairs(extra) do row(name).wrong = row(name).wrong + 1 end
      right, missed_all, wrong_all = right + #case.expect - #missed, missed_all + #missed, wrong_all + #extra
      if #missed + #extra > 0 or fault then
        faults[#faults + 1] = ("%s: missed {%s}, too many {%s}%s"):format(case.name, table.concat(missed, ", "),
          table.concat(extra, ", "), fault and "; " .. fault or "")
      end
    end
  end
  print(("%-24s %5s %6s %7s %6s"):format("", "runs", "right", "missed", "wrong"))
  for _, name in ipairs(order) do
    local counts = row(name)
    print(("%-24s %5d %6d %7d %6d"):format(name, counts.cases, counts.right, counts.missed, counts.wrong))
  end
  local recall, precision = right / (right + missed_all), right / (right + wrong_all)
  print(("recall %.3f, precision %.3f"):format(recall, precision))
  for _, fault in ipairs(faults) do print(fault) end
  assert(recall >= 0.95 and precision >= 0.95, table.concat(faults, "\n"))
  local misplaced = {}
  for _, fault in ipairs(faults) do
    if fault:find(";", 1, true) then misplaced[#misplaced + 1] = fault end
  end
  assert(#misplaced == 0, table.concat(misplaced, "\n"))
end

describe("the pathology zoo", function()
  it("is diagnosed in its quick cases", function()
    run_zoo(function(case) return case.quick end)
  end)

  it("is diagnosed as a whole #slow", function()
    run_zoo(function() return true end)
  end)
end)
