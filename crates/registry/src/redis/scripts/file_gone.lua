-- A file has a peer no more, on a Cluster.
-- KEYS: the file's hashes, withheld. ARGV: owner. Gives 1 when it had, and nobody has it any more.
local gone = redis.call('HDEL', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[2], ARGV[1])
return gone > 0 and redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 and 1 or 0
