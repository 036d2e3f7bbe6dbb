-- A mapping that was withheld is handed out again, when its wait is over.
-- KEYS: the peer's seen, withheld, strikes; the file's hashes, withheld. A Cluster has them in two slots: peer, file.
-- ARGV: 1 owner, 2 file, 3 index TTL in ms (0: none), 4 first wait in ms, 5 when strikes are forgotten in ms.
if redis.call('EXISTS', KEYS[1]) == 0
  or wait_left(redis.call('HGET', KEYS[3], ARGV[2]), math.floor(now_us() / 1000), ARGV[4], ARGV[5]) > 0
  or redis.call('SREM', KEYS[2], ARGV[2]) == 0
then
  return 0
end
local claim = redis.call('HGET', KEYS[5], ARGV[1])
if not claim then
  return 0
end
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], claim)
renew(KEYS[4], ARGV[3])
return 1
