-- A file has a peer no more, on a Cluster.
-- KEYS: the file's hashes, withheld. ARGV: 1 owner, 2 until when it may come in ms. Gives 1 when it had, and nobody has it any more;
-- -1, and did nothing, when it came too late.
if now_us() / 1000 > tonumber(ARGV[2]) then
  return -1
end
local gone = redis.call('HDEL', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[2], ARGV[1])
return gone > 0 and redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 and 1 or 0
