--- Images moved and mirrored at random.
local core = require "sonde.core"
local expect = require "support.expect"
local sonde = require "sonde"
local data = sonde.data

--- A data set whose inputs are these images.
local function set(x) return data.tensors { x, sonde.arange(1, #x + 1) } end

describe("augment", function()
  local images = sonde.arange(1, 41):to("float32"):reshape(2, 2, 2, 5)

  --- Is `seen` the image moved by (dy, dx), then mirrored if `flip`?
  local function is_moved(seen, image, dy, dx, flip, fill)
    local got, from = seen:totable(), image:totable()
    for c = 1, 2 do
      for y = 1, 2 do
        for x = 1, 5 do
          local row, column = from[c][y - dy], (flip and 6 - x or x) - dx
          if got[c][y][x] ~= (row and row[column] or fill) then return false end
        end
      end
    end
    return true
  end

  it("moves and mirrors: every image is one of all that can be, and all come", function()
    local d, seen, n = set(images):augment { shift = 1, flip = true, fill = -3 }, {}, 0
    for draw = 1, 400 do
      local x = d:batch(nil, 1, 2, draw)
      for i = 1, 2 do
        local matches = 0
        for dy = -1, 1 do
          for dx = -1, 1 do
            for _, flip in ipairs { true, false } do
              if is_moved(x[i], images[i], dy, dx, flip, -3) then
                matches = matches + 1
                local key = ("%d %d %s"):format(dy, dx, flip)
                if not seen[key] then seen[key], n = true, n + 1 end
              end
            end
          end
        end
        assert.equal(1, matches)
      end
    end
    assert.equal(18, n)
  end)

  it("does nothing without options, and works on int64 and float64", function()
    assert.truthy(set(images):augment().inputs:equal(images))
    for _, dtype in ipairs { "int64", "float64" } do
      local x = images:to(dtype)
      assert.truthy(set(x):augment({ flip = true, seed = 4 }).inputs:to("float32"):equal(
        set(images):augment({ flip = true, seed = 4 }).inputs))
    end
  end)

  it("draws from the seed, the number of the batch and the place in it alone", function()
    local function epochs(skip, threads)
      core.threads(threads or 1)
      sonde.manual_seed(5)
      local d, all = set(images):augment { shift = 1, flip = true }, {}
      for x in data.batches(d, { batch_size = 1, epochs = 4, skip = skip, shuffle = false }) do
        all[#all + 1] = x:flatten():totable()
        sonde.rand(1)
      end
      core.threads(1)
      return all, sonde.rand(1):item()
    end
    local whole, after = epochs(0)
    assert.same(whole, (epochs(0, 2)))
    assert.same({ table.unpack(whole, 4) }, (epochs(3)))
    sonde.manual_seed(5)
    for _ = 1, 8 do sonde.rand(1) end
    assert.equal(after, sonde.rand(1):item()) -- the user stream has lost nothing
    sonde.manual_seed(6)
    local d = set(images):augment { shift = 1, flip = true }
    local later = {}
    for x in data.batches(d, { batch_size = 1, epochs = 4, shuffle = false }) do
      later[#later + 1] = x:flatten():totable()
    end
    assert.not_same(whole, later) -- another seed
    local first, second = {}, {}
    for x in data.batches(d, { batch_size = 2, epochs = 3 }) do first[#first + 1] = x:sum():item() end
    for x in data.batches(d, { batch_size = 2, epochs = 3, after = 3 }) do second[#second + 1] = x:sum():item() end
    assert.not_same(first, second)
  end)

  it("refuses what are no images, and wrong options", function()
    expect.error("four axes", function() set(sonde.randn(4, 2)):augment { shift = 1 } end)
    expect.error("a shift of 3 of images of 2 x 5", function() set(images):augment { shift = 3 } end)
    expect.error("shift must be an integer of at least 0, got -1", function() set(images):augment { shift = -1 } end)
    expect.error("flip must be true or false", function() set(images):augment { flip = 1 } end)
    expect.error("fill must be a number", function() set(images):augment { fill = "edge" } end)
    expect.error("seed must be an integer", function() set(images):augment { seed = "a" } end)
    expect.error("filled with 0.5", function() set(images:to("int64")):augment { fill = 0.5 } end)
    expect.error("unknown option 'shfit'", function() set(images):augment { shfit = 1 } end)
  end)
end)
