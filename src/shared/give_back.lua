-- Ends a claim if it is still the caller's. Without DEL, a right that nothing else here needs.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], 0)
