-- Some files of a dead peer whose mappings are to be dropped, on a Cluster. Takes them; they stay in its index until they were.
-- KEYS: the peer's seen, files, changing. ARGV: 1 who does it, 2 for how long in ms, 3 how many at most.
-- Gives how many it has, or 0 when it is alive; then those that it took.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { '0' }
end
local now_ms = math.floor(now_us() / 1000)
local answer = { text(redis.call('SCARD', KEYS[2])) }
for _, file in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[3])) do
  if not is_taken(KEYS[3], file, ARGV[1], now_ms) then
    take(KEYS[3], file, ARGV[1], now_ms, ARGV[2])
    answer[#answer + 1] = file
  end
end
return answer
