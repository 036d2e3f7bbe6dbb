-- A file that lost its last peer is listed no more, unless somebody published it again meanwhile.
-- KEYS: the listed names of its shard; the file's hashes, withheld. ARGV: the file.
-- A Cluster has them in two slots: names, file.
if redis.call('EXISTS', KEYS[2], KEYS[3]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
