-- A matchmaker is there.
-- KEYS: the nodes, the token keys. ARGV: 1 its member, 2 the member that it was before, 3 how long a node counts as there in ms,
-- 4 most nodes, 5, 6 and 7 keys that it has: current, next and previous (empty: none), 8 a new key, 9 how long a key is the current one in ms,
-- 10 whether 5 to 7 are what nodes share: `1`, or `0` where this one has made them up.
-- Gives the keys, current, next and previous, then the nodes.
local now_ms = math.floor(now_us() / 1000)
-- After this write a Redis that is full takes the others of this script too, which are few and small.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now_ms - ARGV[3]))
if ARGV[1] ~= ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[2])
end
redis.call('ZADD', KEYS[1], text(now_ms), ARGV[1])
redis.call('PEXPIRE', KEYS[1], text(ARGV[3] * 10))
local keys = redis.call('HMGET', KEYS[2], 'current', 'next', 'previous', 'made', 'new')
local current, following, previous, made = keys[1], keys[2], keys[3] or '', tonumber(keys[4])
local has_shared = ARGV[10] == '1'
if not current or not following or not made then
  -- A Redis that came back empty: what the nodes have goes on to hold.
  current, following, previous, made = ARGV[5], ARGV[6], ARGV[7], now_ms
  redis.call('HSET', KEYS[2], 'current', current, 'next', following, 'previous', previous, 'made', text(made),
    'new', has_shared and '0' or '1')
elseif has_shared and keys[5] == '1' and ARGV[5] ~= current and ARGV[5] ~= following and ARGV[5] ~= previous then
  -- It came back empty, and a new node was here before those that share keys. Tokens that it gave meanwhile stay good.
  current, following, previous = ARGV[5], ARGV[6], current
  redis.call('HSET', KEYS[2], 'current', current, 'next', following, 'previous', previous, 'new', '0')
elseif now_ms - made >= tonumber(ARGV[9]) then
  -- All nodes have had the next one for a while, so that none is surprised by its tokens.
  current, following, previous = following, ARGV[8], current
  redis.call('HSET', KEYS[2], 'current', current, 'next', following, 'previous', previous, 'made', text(now_ms),
    'new', '0')
end
local answer = { current, following, previous }
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, ARGV[4] - 1)) do
  answer[#answer + 1] = member
end
return answer
