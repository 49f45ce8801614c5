-- Several rate limits decided at once: all admit and all are charged, or none is. What the memory of
-- each means, and when it is corrected after the clock went back, is in local/limit_algorithms.hpp;
-- this is the same arithmetic in whole microseconds of this server's clock. Every number stays below
-- 2^53, so doubles hold it exactly; the caller sees to that.
--
-- KEYS: one a limit. ARGV: "take", "peek", "refund" or "withdraw", then for each limit its letter and
-- numbers:
--   g price, its rest; tau, its rest; limit; T; debt the caller knows of; 1 if it counts though
--     there is memory                                                           (GCRA)
--     and to withdraw, the memory as the charge left it
--   s cost; limit; period; 1 if limit * period < 2^52                           (sliding window)
--   l cost; limit; period                                                       (sliding log)
--   w cost; limit; period                                                       (fixed window)
--   m cost; limit; four starts of months, the present one's being the second    (calendar month)
-- GCRA counts in microseconds and a rest in 1/limit microseconds. The debt a caller knows of replaces
-- memory that was lost; so what is given back must outlive the debts that others remember, and leaves
-- a mark even when nothing is owed.
-- To withdraw is to give a charge of a moment ago back, to GCRA alone, as if it had never been; but
-- where another charge came between, what the bucket regained while it seemed emptier is kept back, so
-- that the two never leave more than without the first.
-- Returns: 1 if all was charged (take), now; and for each limit 1 if it admits, and three numbers of
-- its memory as it is now.
local op = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local at = 2

local function arg()
  local value = tonumber(ARGV[at])
  at = at + 1
  return value
end

local function numbers(text)
  local out = {}
  if text then
    for n in string.gmatch(text, '-?%d+') do out[#out + 1] = tonumber(n) end
  end
  return out
end

local function store(key, ttl_us, ...)
  local parts = {...}
  for i = 1, #parts do parts[i] = string.format('%d', parts[i]) end
  local ttl_ms = math.ceil(ttl_us / 1000) + 1000
  redis.call('SET', key, table.concat(parts, ':'), 'PX', string.format('%d', ttl_ms))
end

-- ---- GCRA ----

local function less_or_equal(w1, r1, w2, r2)
  return w1 < w2 or (w1 == w2 and r1 <= r2)
end

local function gcra(key)
  local m = {key = key}
  m.price, m.price_rest, m.tau, m.tau_rest = arg(), arg(), arg(), arg()
  m.limit, m.interval = arg(), arg()
  local debt, counts = arg(), arg()
  local charged, charged_rest
  if op == 'withdraw' then charged, charged_rest = arg(), arg() end
  local kept = numbers(redis.call('GET', key))
  m.tat, m.rest = kept[1] or 0, kept[2] or 0
  local latest = now + m.tau + m.interval
  if m.tat > latest then m.tat, m.rest, m.changed = latest, 0, true end
  if (counts == 1 or #kept == 0) and m.tat < now + debt then m.tat, m.rest = now + debt, 0 end
  if m.tat < now then m.tat, m.rest = now, 0 end
  local whole, rest = m.tat + m.price, m.rest + m.price_rest
  if rest >= m.limit then whole, rest = whole + 1, rest - m.limit end
  m.admits = less_or_equal(whole, rest, now + m.tau, m.tau_rest)
  function m.charge() m.tat, m.rest = whole, rest end
  function m.refund()
    m.tat, m.rest = m.tat - m.price, m.rest - m.price_rest
    if m.rest < 0 then m.tat, m.rest = m.tat - 1, m.rest + m.limit end
    if m.tat < now then m.tat, m.rest = now, 0 end
  end
  function m.withdraw()
    local regained = 0
    if kept[1] ~= charged or (kept[2] or 0) ~= charged_rest then
      regained = math.max(now - (charged - m.price) + 1, 0)
    end
    if regained > m.price then return end
    m.tat = m.tat + regained
    m.refund()
  end
  function m.keep()
    local ttl = m.tat - now + 1
    if op ~= 'take' then ttl = m.tau + 1 end
    if m.rest == 0 then store(key, ttl, m.tat) else store(key, ttl, m.tat, m.rest) end
  end
  function m.memory() return m.tat, m.rest, 0 end
  return m
end

-- ---- Sliding window ----

local function sliding_window(key)
  local m = {}
  local cost, limit, period, exact = arg(), arg(), arg(), arg()
  local kept = numbers(redis.call('GET', key))
  local start, current, previous = kept[1] or 0, kept[2] or 0, kept[3] or 0
  local window = now - math.fmod(now, period)
  if start > window + period then
    start, m.changed = window + period, true
  elseif start < window then
    if start + period == window then previous = current else previous = 0 end
    start, current = window, 0
  end
  local left = period - math.max(now - start, 0)
  if exact == 1 then
    m.admits = cost * period <= (limit - current) * period - previous * left
  else  -- Rounded against the caller.
    m.admits = cost <= limit - current - math.ceil(previous * left / period) - 1
  end
  function m.charge() current = current + cost end
  function m.refund()
    local from_current = math.min(cost, current)
    current = current - from_current
    previous = math.max(previous - (cost - from_current), 0)
  end
  function m.keep() store(key, start + 2 * period - now, start, current, previous) end
  function m.memory() return start, current, previous end
  return m
end

-- ---- Windows ----

local function window_memory(key, cost, limit, first, last)
  local m = {}
  local kept = numbers(redis.call('GET', key))
  local start, used = kept[1] or 0, kept[2] or 0
  if start > last then
    start, m.changed = last, true
  elseif start < first then
    start, used = first, 0
  end
  m.admits = cost <= limit - used
  function m.charge() used = used + cost end
  function m.refund() used = math.max(used - cost, 0) end
  -- After its end it says nothing; one that is ahead of the clock is kept until it is reached.
  function m.keep() store(key, math.max(start, first) - first + last - now, start, used) end
  function m.memory() return start, used, 0 end
  return m
end

local function fixed_window(key)
  local cost, limit, period = arg(), arg(), arg()
  local first = now - math.fmod(now, period)
  return window_memory(key, cost, limit, first, first + period)
end

local function calendar_month(key)
  local cost, limit = arg(), arg()
  local starts = {arg(), arg(), arg(), arg()}
  local month = 2
  if now < starts[2] then month = 1 elseif now >= starts[3] then month = 3 end
  return window_memory(key, cost, limit, starts[month], starts[month + 1])
end

-- ---- Sliding log: a list of "instant:cost:sum", oldest first; the sum counts on from entry to
-- entry, so that what two entries lie apart is known without reading between them. ----

local function entry(key, index)
  return numbers(redis.call('LINDEX', key, index))
end

local function text_of(e)
  return string.format('%d:%d:%d', e[1], e[2], e[3])
end

-- Later entries become entries of now.
local function cap(key, length)
  local changed = false
  for i = length - 1, 0, -1 do
    local e = entry(key, i)
    if e[1] <= now then break end
    e[1] = now
    redis.call('LSET', key, i, text_of(e))
    changed = true
  end
  return changed
end

-- The instant of the entry whose end makes room for `excess`; costs add up from the oldest.
local function freed_at(key, length, base, excess)
  local low, high = 0, length - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if entry(key, middle)[3] - base >= excess then high = middle else low = middle + 1 end
  end
  return entry(key, low)[1]
end

local function sliding_log(key)
  local m = {}
  local cost, limit, period = arg(), arg(), arg()
  local length = redis.call('LLEN', key)
  local writes = op ~= 'peek'
  local expired = 0
  if length > 0 and writes then m.changed = cap(key, length) end
  while expired < length do
    if math.min(entry(key, expired)[1], now) > now - period then break end
    expired = expired + 1
  end
  if expired > 0 and writes then
    redis.call('LTRIM', key, expired, -1)
    length, expired = length - expired, 0
  end
  local base, sum, newest = 0, 0, 0
  if length > expired then
    local oldest, last = entry(key, expired), entry(key, -1)
    base, sum, newest = oldest[3] - oldest[2], last[3], math.min(last[1], now)
  end
  local total = sum - base
  m.admits = cost <= limit - total
  local admitted_at = 0
  if not m.admits and cost <= limit then
    admitted_at = math.min(freed_at(key, length, base, total + cost - limit), now) + period
  end
  function m.charge()
    redis.call('RPUSH', key, text_of({now, cost, sum + cost}))
    total, newest = total + cost, now
  end
  function m.refund()
    local back = math.min(cost, total)
    total = total - back
    while back > 0 do
      local e = numbers(redis.call('RPOP', key))
      if e[2] > back then
        redis.call('RPUSH', key, text_of({e[1], e[2] - back, e[3] - back}))
        back = 0
      else
        back = back - e[2]
      end
    end
    if total > 0 then newest = math.min(entry(key, -1)[1], now) end
  end
  function m.keep() redis.call('PEXPIRE', key, string.format('%d', math.ceil(period / 1000) + 1000)) end
  function m.memory() return total, admitted_at, newest end
  return m
end

local kinds = {g = gcra, s = sliding_window, l = sliding_log, w = fixed_window, m = calendar_month}
local limits, all = {}, true
for i = 1, #KEYS do
  local kind = kinds[ARGV[at]]
  at = at + 1
  limits[i] = kind(KEYS[i])
  all = all and limits[i].admits
end

local charged = op == 'take' and all
local reply = {charged and 1 or 0, now}
for i = 1, #limits do
  local m = limits[i]
  if charged then m.charge() elseif m[op] then m[op]() end
  if op ~= 'peek' and (charged or m[op] or m.changed) then m.keep() end
  local a, b, c = m.memory()
  local k = #reply
  reply[k + 1], reply[k + 2], reply[k + 3], reply[k + 4] = m.admits and 1 or 0, a, b, c
end
return reply
