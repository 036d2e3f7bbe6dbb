-- A peer is about to be taken out of its due set, on a Cluster.
-- KEYS: the due set. ARGV: 1 the peer, 2 for how long in ms, with a fraction.
-- Gives the time that stands there now, or nothing where the peer does not.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return false
end
local until_ms = string.format('%.3f', math.floor(now_us() / 1000) + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[1], until_ms, ARGV[1])
return until_ms
