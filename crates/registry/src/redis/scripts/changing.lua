-- Shared by the scripts of a Cluster that change mappings, in front of them. Who changes a mapping there takes it first, in the slot
-- of the peer: a field of a hash, FILE = "WHO UNTIL_MS". Whoever comes meanwhile has to wait.
local function is_taken(changing_key, file, who, now_ms)
  local by, until_ms = string.match(redis.call('HGET', changing_key, file) or '', '^(%S+) (%d+)$')
  return by and by ~= who and tonumber(until_ms) > now_ms
end

-- Whether it is taken by WHO, whatever the time: nobody else took it since.
local function is_held(changing_key, file, who)
  return string.match(redis.call('HGET', changing_key, file) or '', '^(%S+) ') == who
end

local function take(changing_key, file, who, now_ms, for_ms)
  redis.call('HSET', changing_key, file, who .. ' ' .. text(now_ms + for_ms))
  redis.call('PEXPIRE', changing_key, for_ms)
end
