-- The charge of GCRA limits alone whose interval is a whole number of microseconds: what nearly every
-- check is, with as little around the arithmetic of limits.lua as can be. Redis converts and copies
-- at each call and number, so there are few: what is owed is reckoned from now, and written once.
--
-- KEYS: one a limit. ARGV: for each limit price; tau; T + 1; and the debt that the caller knows of,
-- negative if it counts only where there is no memory. Then 1 if the answer is to end with the clock.
-- Returns for each limit what is owed after the decision, or -1 less that where it refuses; if one
-- does, nothing is charged. A single number comes alone.
local call, keys, argv = redis.call, KEYS, ARGV
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local reply, all, turned = {}, true, nil

for i = 1, #keys do
  local at = i * 4
  local kept = call('GET', keys[i])
  local tau, debt, owed = argv[at - 2] + 0, argv[at], 0
  if kept then
    owed = (tonumber(kept) or tonumber(string.match(kept, '^%d+'))) - now
    if owed > tau and owed > tau + argv[at - 1] then
      -- The clock went back; kept even if nothing is charged.
      owed, turned = tau + argv[at - 1], turned or {}
      turned[i] = true
    end
  end
  if debt ~= '0' then
    debt = tonumber(debt)
    if debt < 0 then debt = kept and 0 or -debt end
    if owed < debt then owed = debt end
  end
  if owed < 0 then owed = 0 end
  local charged = owed + argv[at - 3]
  if charged <= tau then
    reply[i] = charged
  else
    reply[i], all = -1 - owed, false
  end
end
for i = 1, #keys do
  local owed = reply[i]
  if not all and owed >= 0 then
    owed = owed - argv[i * 4 - 3]
    reply[i] = owed
  end
  if all or (turned and turned[i]) then
    if owed < 0 then owed = -1 - owed end
    call('PSETEX', keys[i], string.format('%d', owed / 1000 + 1001),
         string.format('%d', now + owed))
  end
end
if argv[#keys * 4 + 1] then reply[#keys + 1] = now end
if #reply == 1 then return reply[1] end
return reply
