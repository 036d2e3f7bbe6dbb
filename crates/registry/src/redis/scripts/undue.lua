-- A peer with no files is looked at no more.
-- KEYS: its due set, its files. ARGV: the peer. A Cluster has them in two slots: due, peer.
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
