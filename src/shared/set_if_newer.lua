-- KEYS[1]: a copy. ARGV[1]: its lifetime, ms. ARGV[2]: its value, which begins with 19 digits of version;
-- it is the last, because over HTTP only the last argument may be bytes of any length.
-- Writes it unless a higher version is there; 1 when it is written. Twice is once.
-- Its twin is MemoryCopies::put_if_newer.
local have = redis.call('GETRANGE', KEYS[1], 0, 18)
if string.find(have, '^%d+$') and #have == 19 and have > string.sub(ARGV[2], 1, 19) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1
