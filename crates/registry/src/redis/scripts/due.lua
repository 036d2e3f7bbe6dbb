-- Takes some peers that are due for the sweep, and puts them off for the time of a lease, so that no other
-- sweep takes them meanwhile and that one which dies on the way is taken up again.
-- KEYS: the due set of a shard. ARGV: the lease in ms, with a fraction by which it is told from other times; how many at most.
-- Gives the time in ms, then the peers.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = { string.format('%.0f', now_ms) }
local until_ms = string.format('%.3f', now_ms + tonumber(ARGV[1]))
for _, peer in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', answer[1], 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', KEYS[1], until_ms, peer)
  answer[#answer + 1] = peer
end
return answer
