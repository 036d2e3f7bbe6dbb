-- The mappings of some files of a dead peer were dropped, so they leave its index.
-- KEYS: the peer's seen, its files, its withheld; the count of mappings of its shard. A Cluster has them in two slots: peer, due.
-- ARGV: the files.
-- A peer that is alive again had an empty index when it came back: what is in there now is new.
if redis.call('EXISTS', KEYS[1]) == 0 then
  local gone = redis.call('SREM', KEYS[2], unpack(ARGV))
  redis.call('SREM', KEYS[3], unpack(ARGV))
  if gone > 0 then
    redis.call('DECRBY', KEYS[4], gone)
  end
end
return 1
