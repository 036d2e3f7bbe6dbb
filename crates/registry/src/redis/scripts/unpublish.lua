-- A peer has a file no more.
-- KEYS: the peer's files, withheld; its due set and the count of mappings beside it; the file's hashes, withheld; the listed
-- names of its shard; the peer's seen, which goes with its last file. A Cluster has them in four slots: peer, due, file, names.
-- ARGV: owner, file.
if redis.call('SREM', KEYS[1], ARGV[2]) == 1 then
  redis.call('DECR', KEYS[4])
  redis.call('SREM', KEYS[2], ARGV[2])
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('DEL', KEYS[8])
  end
end
if redis.call('HDEL', KEYS[5], ARGV[1]) + redis.call('HDEL', KEYS[6], ARGV[1]) > 0
  and redis.call('EXISTS', KEYS[5], KEYS[6]) == 0
then
  redis.call('ZREM', KEYS[7], ARGV[2])
end
return 1
