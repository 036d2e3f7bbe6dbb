-- A file that lost its last peer is listed no more, unless somebody published it again meanwhile.
-- KEYS: the listed names of its shard, the file's hashes. ARGV: the file.
-- The two keys live in different slots: a Cluster has to do it in two steps.
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
