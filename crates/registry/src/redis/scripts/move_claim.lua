-- What a peer claims of a file is withheld, or handed out again, on a Cluster.
-- KEYS: the file's hashes and withheld, from which to which. ARGV: 1 owner, 2 index TTL in ms (0: none).
local claim = redis.call('HGET', KEYS[1], ARGV[1])
if claim then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], claim)
  renew(KEYS[2], ARGV[2])
end
return 1
