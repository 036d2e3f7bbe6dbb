-- Whether a mapping that is withheld may be handed out again, on a Cluster.
-- KEYS: the peer's seen, withheld, strikes. ARGV: 1 file, 2 first wait in ms, 3 when strikes are forgotten in ms.
local now_ms = math.floor(now_us() / 1000)
local over = wait_left(redis.call('HGET', KEYS[3], ARGV[1]), now_ms, ARGV[2], ARGV[3]) == 0
return over and redis.call('EXISTS', KEYS[1]) == 1 and redis.call('SISMEMBER', KEYS[2], ARGV[1]) or 0
