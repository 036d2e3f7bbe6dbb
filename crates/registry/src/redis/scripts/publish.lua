-- Peers publish files, or mappings are taken over from another store: one after the other, many with one call.
-- KEYS, of each: the peer's seen, files, withheld, strikes; its due set and the count of mappings beside it; the file's hashes,
-- withheld; the listed names of its shard. On one Redis only: they are of four slots.
-- ARGV: as in publishing.lua. Then of each: owner, file, hash and size, TTL that was asked for, address, port, when
-- the taken over was seen in ms (0: a publish).
-- Gives of each what became of it, the wait in ms, and whether others have to hear that the peer changed. 1 listed, 2
-- withheld; 0 the peer is dead and something of its former life is still there: nothing was done; -1 too many files; -2 too
-- many peers; -3 the peer of what was to be taken over is dead.
-- What can wait for the end of this call is done there, once for all: how many mappings are new, by the key of their count.
local counts = {}

local function publish(key, arg)
  local seen_key, files_key, withheld_key, strikes_key, due, mappings, hashes_key, out_key, names =
    unpack(KEYS, key, key + 8)
  local owner, file, claim, asked, address, port, seen_ms = unpack(ARGV, arg, arg + 6)
  local code, changed, new, files, struck, keep, left, peer_wait, file_wait =
    publish_for_peer(seen_key, files_key, withheld_key, strikes_key, file, asked, address, port, seen_ms)
  if code ~= 1 then
    return code, 0, changed
  end
  local kept, peers, newer = publish_for_file(hashes_key, out_key, owner, claim, new, struck, keep, file_wait)
  if kept ~= 1 then
    take_back(seen_key, files_key, withheld_key, file, files, struck)
    return kept, 0, changed
  elseif newer then
    return 1, 0, changed
  end
  if new then
    if files == 1 then
      -- Also where peers live for ever: the setting may change.
      call('ZADD', due, 'NX', left > 0 and text(now_ms + left) or '0', owner)
    end
    counts[mappings] = (counts[mappings] or 0) + 1
    if peers == 1 or file_wait > 0 then
      call('ZADD', names, '0', file)
    end
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
