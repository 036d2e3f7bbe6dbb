-- A dead peer has a file no more: the file's part of it.
-- KEYS: the file's hashes, withheld; the peer's seen, files. A Cluster has them in two slots: file, peer.
-- ARGV: owner, file. Gives how many peers have the file yet, or -1 when nothing was dropped.
-- A peer that is alive again had an empty index when it came back: what is in there now is new.
if redis.call('EXISTS', KEYS[3]) == 1 and redis.call('SISMEMBER', KEYS[4], ARGV[2]) == 1 then
  return -1
end
if redis.call('HDEL', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then
  return -1
end
return redis.call('HLEN', KEYS[1]) + redis.call('HLEN', KEYS[2])
