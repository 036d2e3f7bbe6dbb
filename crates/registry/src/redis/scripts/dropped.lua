-- The mappings of some files of a dead peer were dropped, so they leave its index.
-- KEYS: the peer's seen, its files. ARGV: the files.
-- A peer that is alive again had an empty index when it came back: what is in there now is new.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], unpack(ARGV))
end
return 1
