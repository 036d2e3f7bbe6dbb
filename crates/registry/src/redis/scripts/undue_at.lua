-- A peer with no files is looked at no more, on a Cluster, unless it published meanwhile or is another one's.
-- KEYS: the due set. ARGV: 1 the peer, 2 what `lease` gave.
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and tonumber(at) == tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
