-- wrk -s values.lua URL -- TEMPLATE [VALUES]
-- Sends the raw request of the file TEMPLATE; "{value}" becomes a random line of the file VALUES. All
-- lines of VALUES have one length, so that a million of them are one string and no table.
local seed = 0

function setup(thread)
  seed = seed + 1
  thread:set("seed", seed)
end

local function contents(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local before, after, values, stride, count

function init(args)
  local request = contents(args[1])
  if not args[2] then
    before = request
    return
  end
  math.randomseed(seed)
  local at = assert(request:find("{value}", 1, true))
  before, after = request:sub(1, at - 1), request:sub(at + #"{value}")
  values = contents(args[2])
  stride = values:find("\n", 1, true)
  count = #values / stride
end

function request()
  if not values then return before end
  local start = math.random(0, count - 1) * stride
  return before .. values:sub(start + 1, start + stride - 1) .. after
end
