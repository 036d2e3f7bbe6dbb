-- Some files of a dead peer whose mappings are to be dropped. They stay in its index until they were.
-- KEYS: the peer's seen, its files. ARGV: how many at most. Gives none when the peer is alive or nothing is left.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {}
end
return redis.call('SRANDMEMBER', KEYS[2], ARGV[1])
