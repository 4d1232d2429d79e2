-- Where data files are looked for: the current folder, the folders of --data, that of the recipe which runs, those of
-- SONDE_DATA (separated by ':').
local lfs = require "lfs"
local fail = require "sonde.fail"

local find = {
  folders = {},        -- of --data: whoever reads the command line fills it
  recipe_folder = nil, -- while a recipe runs
}

local function search_path()
  local folders = table.move(find.folders, 1, #find.folders, 1, {})
  folders[#folders + 1] = find.recipe_folder
  for folder in (os.getenv "SONDE_DATA" or ""):gmatch("[^:]+") do folders[#folders + 1] = folder end
  return folders
end

local function is_file(path) return lfs.attributes(path, "mode") == "file" end

-- The path of a file a user named: as it is, or inside one of the data folders; raises if it is in none of them. What
-- is there but no file comes back as it is: opening it says what is wrong.
function find.file(path)
  if path:sub(1, 1) == "/" or lfs.attributes(path) then return path end
  local folders = search_path()
  for _, folder in ipairs(folders) do
    if is_file(folder .. "/" .. path) then return folder .. "/" .. path end
  end
  fail("cannot open '%s': there is no such file in %s; name its folder with --data DIR or SONDE_DATA", path,
    table.concat({ "the current folder", table.unpack(folders) }, ", "))
end

-- The folder that holds `name` or `name`.gz of a known data set: `dir` if given, else a data folder or its subfolder
-- `set`, else `installed`. Returns folder and the file's name, or nil and the folders looked at.
function find.set(set, name, installed, dir)
  if dir ~= nil and type(dir) ~= "string" then fail("data.%s: dir is the path of a folder, got %s", set, dir) end
  local folders = { dir }
  if not dir then
    for _, folder in ipairs(search_path()) do
      folders[#folders + 1] = folder
      folders[#folders + 1] = folder .. "/" .. set
    end
    folders[#folders + 1] = installed
  end
  for _, folder in ipairs(folders) do
    for _, ending in ipairs { "", ".gz" } do
      if is_file(folder .. "/" .. name .. ending) then return folder, name .. ending end
    end
  end
  return nil, folders
end

return find
