-- The charge of GCRA limits alone whose interval is a whole number of microseconds: what nearly every
-- check is, with as little around the arithmetic of limits.lua as can be.
--
-- KEYS: one a limit. ARGV: for each limit price; tau; T + 1; and the debt that the caller knows of,
-- negative if it counts only where there is no memory. Then 1 if the answer is to end with the clock.
-- Returns for each limit what is owed after the decision, or -1 less that where it refuses; if one
-- does, nothing is charged. A single number comes alone.
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local reply, all, at, turned = {}, true, 0, nil

local function store(key, tat)
  call('SET', key, string.format('%d', tat), 'PXAT', string.format('%d', tat / 1000 + 1001))
end

for i = 1, #KEYS do
  local kept = call('GET', KEYS[i])
  local tat, debt = 0, tonumber(ARGV[at + 4])
  if kept then
    tat = tonumber(kept) or tonumber(string.match(kept, '^%d+'))
    local latest = now + ARGV[at + 2] + ARGV[at + 3]
    if tat > latest then  -- The clock went back; kept even if nothing is charged.
      tat, turned = latest, turned or {}
      turned[i] = true
    end
  end
  if debt < 0 then debt = kept and 0 or -debt end
  if tat < now + debt then tat = now + debt end
  local charged = tat + ARGV[at + 1]
  if charged <= now + ARGV[at + 2] then
    reply[i] = charged - now
  else
    reply[i], all = now - tat - 1, false
  end
  at = at + 4
end
for i = 1, #KEYS do
  local owed = reply[i]
  if not all and owed >= 0 then
    owed = owed - ARGV[i * 4 - 3]
    reply[i] = owed
  end
  if all then
    store(KEYS[i], now + owed)
  elseif turned and turned[i] then
    store(KEYS[i], now + (owed < 0 and -1 - owed or owed))
  end
end
if ARGV[at + 1] then reply[#KEYS + 1] = now end
if #reply == 1 then return reply[1] end
return reply
