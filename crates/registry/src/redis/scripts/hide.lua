-- A reporter does not see a peer for a while.
-- KEYS: what is hidden from the reporter. ARGV: the subject, for how long in ms, how many are hidden at most.
redis.call('ZADD', KEYS[1], text(math.floor(now_us() / 1000)), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
