-- The charge of GCRA limits alone, as limits.lua does it, without the rest of that script, which costs
-- several times as much to enter. Those whose interval is whole microseconds have a cheaper one still,
-- limits_gcra_whole.lua.
--
-- KEYS: one a limit. ARGV: for each limit the eight numbers after its letter in limits.lua.
-- Returns the same as limits.lua.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local reply, all = {1, now}, true
local at, out, turned = 0, 2, nil

local function store(key, whole, rest)
  redis.call('SET', key, string.format('%d:%d', whole, rest), 'PXAT',
             string.format('%d', whole / 1000 + 1001))
end

for i = 1, #KEYS do
  local kept = redis.call('GET', KEYS[i])
  local tat, rest = 0, 0
  if kept then
    local whole, part = string.match(kept, '^(%d+):?(%d*)')
    tat, rest = tonumber(whole), tonumber(part) or 0
    local latest = now + ARGV[at + 3] + ARGV[at + 6]
    if tat > latest then  -- The clock went back; kept even if nothing is charged.
      tat, rest, turned = latest, 0, turned or {}
      turned[i] = true
    end
  end
  if (not kept or ARGV[at + 8] == '1') and tat < now + ARGV[at + 7] then
    tat, rest = now + ARGV[at + 7], 0
  end
  if tat < now then tat, rest = now, 0 end
  local whole, part, limit = tat + ARGV[at + 1], rest + ARGV[at + 2], tonumber(ARGV[at + 5])
  if part >= limit then whole, part = whole + 1, part - limit end
  local most = now + ARGV[at + 3]
  local admits = whole < most or (whole == most and part <= tonumber(ARGV[at + 4]))
  all = all and admits
  reply[out + 1], reply[out + 2], reply[out + 3], reply[out + 4] = admits and 1 or 0, whole, part, 0
  at, out = at + 8, out + 4
end
at, out = 0, 2
if not all then
  -- Nothing is charged: the memory without the price.
  reply[1] = 0
  for i = 1, #KEYS do
    local whole, part = reply[out + 2] - ARGV[at + 1], reply[out + 3] - ARGV[at + 2]
    if part < 0 then whole, part = whole - 1, part + ARGV[at + 5] end
    reply[out + 2], reply[out + 3] = whole, part
    if turned and turned[i] then store(KEYS[i], whole, part) end
    at, out = at + 8, out + 4
  end
  return reply
end
for i = 1, #KEYS do
  store(KEYS[i], reply[out + 2], reply[out + 3])
  out = out + 4
end
return reply
