-- Shared by the scripts that publish, in front of them: a publish is a part of the peer's and a part of the file's. On one Redis
-- they are one script, on a Cluster two.
-- ARGV: 1 peer TTL in ms (0: none), 2 index TTL in ms (0: none), 3 most files, 4 most peers, 5 first wait of the withheld in
-- ms, 6 when strikes are forgotten in ms.
-- Nothing that Redis does for us is done so often: a call from here costs half a microsecond besides what it does. So what can
-- be said with another call is.
local call = redis.call
local us, ms_now = now()
local now_ms = tonumber(ms_now)
local longest, index_ttl, most_files, most_peers = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local first_wait, forget_strikes = ARGV[5], ARGV[6]

-- Returns when the taken over was seen in ms, how long its peer has left, and whether that one is dead.
local function taken_over(seen_ms, life)
  local at_ms = math.min(tonumber(seen_ms), now_ms)
  local left = life > 0 and at_ms + life - now_ms or life
  return at_ms, left, life > 0 and left <= 0
end

-- Takes the file back, and with its only one the peer.
local function take_back(seen_key, files_key, withheld_key, file, files, struck)
  call('SREM', files_key, file)
  if struck then
    call('SREM', withheld_key, file)
  end
  if files == 1 then
    call('DEL', seen_key)
  end
end

-- The peer's part. Gives what became of it (1: the file's part is to be done), whether others have to hear that the peer
-- changed, whether the file is new to the peer, how many it has if so, whether it or a file of it was ever withheld,
-- whether a peer that is known better stays as it is, what it has left in ms, and the waits of the peer and of the file in ms.
local function publish_for_peer(seen_key, files_key, withheld_key, strikes_key, file, asked, address, port, seen_ms)
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
    return 0, 0
  end
  if seen_ms ~= '0' then
    local at_ms, dead
    at_ms, left, dead = taken_over(seen_ms, life)
    if dead and not seen then
      call('SREM', files_key, file)
      return -3, 0
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
  if files > most_files then
    take_back(seen_key, files_key, withheld_key, file, files, false)
    return -1, changed
  end
  if file_wait > 0 then
    call('SADD', withheld_key, file)
    renew(withheld_key, index_ttl)
  elseif struck then
    call('SREM', withheld_key, file)
  end
  if files == 1 then
    expire(files_key, index_ttl)
  end
  return 1, changed, new, files, struck, keep, left, peer_wait, file_wait
end

-- The file's part. Gives 1, or -2 when it has too many peers; how many it has that are handed out, where that may have changed; and
-- whether what was here is newer.
local function publish_for_file(hashes_key, out_key, owner, claim, new, struck, keep, file_wait)
  if
    not new and keep
    and (call('HEXISTS', hashes_key, owner) == 1 or struck and call('HEXISTS', out_key, owner) == 1)
  then
    return 1, 0, true
  end
  local same = not new and call('HGET', hashes_key, owner) == claim
  local added = false
  if file_wait > 0 then
    call('HSET', out_key, owner, claim)
    call('HDEL', hashes_key, owner)
    renew(out_key, index_ttl)
  else
    if struck then
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
    end
    return -2, peers, false
  end
  -- One that reports have emptied has no expiry when it comes back.
  if peers == 1 or added and needs_renewal(hashes_key, index_ttl) then
    expire(hashes_key, index_ttl)
  end
  return 1, peers, false
end
