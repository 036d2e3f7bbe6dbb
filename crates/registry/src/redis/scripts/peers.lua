-- A sample of the living peers of a file.
-- KEYS: the file's peers. ARGV: how many at most, what stands before and after a peer in the key of its seen, and a
-- random number: Redis gives short sets and samples of them in order, so that who is taken depends on the start.
-- The keys of seen are not declared: a Cluster, where they live in other slots, asks for them apart.
local limit = tonumber(ARGV[1])
local live, known = {}, {}

local function keep_living(members)
  local keys = {}
  for i, member in ipairs(members) do
    keys[i] = ARGV[2] .. member .. ARGV[3]
  end
  local seen = redis.call('MGET', unpack(keys))
  for step = 1, #members do
    local i = (step + ARGV[4]) % #members + 1
    if seen[i] and #live < limit and not known[members[i]] then
      known[members[i]] = true
      live[#live + 1] = members[i]
    end
  end
end

local count = redis.call('ZCARD', KEYS[1])
if count == 0 then
  return live
end
if count <= 2 * limit then
  keep_living(redis.call('ZRANGE', KEYS[1], 0, -1))
  return live
end
-- Three draws of twice as many as are wanted, for files most of whose peers died since the last sweep.
for _ = 1, 3 do
  keep_living(redis.call('ZRANDMEMBER', KEYS[1], 2 * limit))
  if #live == limit then
    break
  end
end
return live
