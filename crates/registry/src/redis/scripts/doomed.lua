-- Some files of a dead peer whose mappings are to be dropped. They stay in its index until they were.
-- KEYS: the peer's seen, its files. ARGV: how many at most.
-- Gives the time in us, then the files; none when the peer is alive or nothing is left.
local time = redis.call('TIME')
local answer = { string.format('%.0f', time[1] * 1000000 + time[2]) }
if redis.call('EXISTS', KEYS[1]) == 0 then
  for _, file in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[1])) do
    answer[#answer + 1] = file
  end
end
return answer
