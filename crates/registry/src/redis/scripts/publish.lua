-- Peers publish files, or mappings are taken over from another store: one after the other, many with one call.
-- KEYS, of each: the peer's seen, files, withheld, strikes; its due set and the count of mappings beside it; the file's hashes,
-- withheld; the listed names of its shard. A Cluster has them in four slots: peer, due, file, names.
-- ARGV: 1 peer TTL in ms (0: none), 2 index TTL in ms (0: none), 3 most files, 4 most peers, 5 first wait of the withheld in
-- ms, 6 when strikes are forgotten in ms. Then of each: owner, file, hash and size, TTL that was asked for, address, port, when
-- the taken over was seen in ms (0: a publish).
-- Gives of each what became of it, the wait in ms, and whether others have to hear that the peer changed. 1 listed, 2
-- withheld; 0 the peer is dead and something of its former life is still there: nothing was done; -1 too many files; -2 too
-- many peers; -3 the peer of what was to be taken over is dead.
-- Nothing that Redis does for us is done so often: a call from here costs half a microsecond besides what it does. So what can
-- be said with another call is, and what can wait for the end of this call is done there, once for all.
local call = redis.call
local us, ms_now = now()
local now_ms = tonumber(ms_now)
local longest, index_ttl, most_files, most_peers = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local first_wait, forget_strikes = ARGV[5], ARGV[6]
-- How many mappings are new, by the key of their count.
local counts = {}

-- Returns when the taken over was seen in ms, how long its peer has left, and whether that one is dead.
local function taken_over(seen_ms, life)
  local at_ms = math.min(tonumber(seen_ms), now_ms)
  local left = life > 0 and at_ms + life - now_ms or life
  return at_ms, left, life > 0 and left <= 0
end

local function publish(key, arg)
  local seen_key, files_key, withheld_key, strikes_key, due, mappings, hashes_key, out_key, names =
    unpack(KEYS, key, key + 8)
  local owner, file, claim, asked, address, port, seen_ms = unpack(ARGV, arg, arg + 6)
  local new = call('SADD', files_key, file) == 1
  local files = new and call('SCARD', files_key) or 0
  local struck = call('EXISTS', withheld_key, strikes_key) > 0
  local peer_wait, file_wait = 0, 0
  if struck then
    local strikes = call('HMGET', strikes_key, '', file)
    peer_wait = wait_left(strikes[1], now_ms, first_wait, forget_strikes)
    file_wait = wait_left(strikes[2], now_ms, first_wait, forget_strikes)
  end

  local life, life_text = life_of(longest, asked)
  local seen, rest
  local left, keep = life, false
  if seen_ms == '0' then
    rest = rest_of(asked, address, port, peer_wait > 0)
    seen = set_presence(seen_key, ms_now .. rest, life_text)
  else
    seen = call('GET', seen_key)
  end
  if not seen and files ~= 1 then
    if seen_ms == '0' then
      call('DEL', seen_key)
    end
    if new then
      call('SREM', files_key, file)
    end
    return 0, 0, 0
  end
  if seen_ms ~= '0' then
    local at_ms, dead
    at_ms, left, dead = taken_over(seen_ms, life)
    if dead and not seen then
      call('SREM', files_key, file)
      return -3, 0, 0
    end
    keep = seen and (dead or tonumber((split(seen))) >= at_ms)
    if struck and file_wait == 0 and call('SISMEMBER', withheld_key, file) == 1 then
      file_wait = 1
    end
    peer_wait = seen and select(6, split(seen)) == 'w' and math.max(peer_wait, 1) or peer_wait
    if not keep then
      rest = rest_of(asked, address, port, peer_wait > 0)
      set_presence(seen_key, text(at_ms) .. rest, text(left))
    end
  end
  local changed = 0
  if not keep and (not seen or string.match(seen, '^%d+(.*)$') ~= rest) then
    changed = 1
  end

  -- Takes the file back, and with its only one the peer.
  local function refuse(code)
    call('SREM', files_key, file)
    if files == 1 then
      call('DEL', seen_key)
    end
    return code, 0, changed
  end
  if files > most_files then
    return refuse(-1)
  elseif
    not new and keep
    and (call('HEXISTS', hashes_key, owner) == 1 or struck and call('HEXISTS', out_key, owner) == 1)
  then
    -- What is here is newer.
    return 1, 0, changed
  end

  local same = not new and call('HGET', hashes_key, owner) == claim
  local added = false
  if file_wait > 0 then
    call('SADD', withheld_key, file)
    call('HSET', out_key, owner, claim)
    call('HDEL', hashes_key, owner)
    renew(withheld_key, index_ttl)
    renew(out_key, index_ttl)
  else
    if struck then
      call('SREM', withheld_key, file)
      call('HDEL', out_key, owner)
    end
    added = not same and call('HSET', hashes_key, owner, claim) == 1
  end
  local peers = (new or added) and call('HLEN', hashes_key) or 0
  -- Those withheld keep their places. They are counted when it may matter, which saves a call each time.
  if new and peers * 2 > most_peers and peers + call('HLEN', out_key) > most_peers then
    call('HDEL', hashes_key, owner)
    if struck then
      call('HDEL', out_key, owner)
      call('SREM', withheld_key, file)
    end
    return refuse(-2)
  end
  if new then
    if files == 1 then
      -- Also where peers live for ever: the setting may change.
      call('ZADD', due, 'NX', left > 0 and text(now_ms + left) or '0', owner)
      expire(files_key, index_ttl)
    end
    counts[mappings] = (counts[mappings] or 0) + 1
  end
  if new and (peers == 1 or file_wait > 0) then
    call('ZADD', names, '0', file)
  end
  -- One that reports have emptied has no expiry when it comes back.
  if peers == 1 or added and needs_renewal(hashes_key, index_ttl) then
    expire(hashes_key, index_ttl)
  end
  local wait = math.max(peer_wait, file_wait)
  return wait > 0 and 2 or 1, wait, changed
end

local written = {}
for item = 0, #KEYS / 9 - 1 do
  local code, wait, changed = publish(item * 9 + 1, item * 7 + 7)
  local at = #written
  written[at + 1], written[at + 2], written[at + 3] = code, wait, changed
end
for mappings, more in pairs(counts) do
  call('INCRBY', mappings, more)
end
return written
