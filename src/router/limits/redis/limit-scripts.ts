/**
 * The limiter's Lua. Each script takes one Redis key prefix a scope, all with the tenant as hash tag, so that
 * a decision over all scopes runs on one node of a cluster, atomically. Time is Redis' own (`TIME`), never a
 * pod's clock, and does not run backwards: it is at least that of the newest entry.
 *
 * Kept per scope:
 * - `:requests` sorted set: score = millisecond, member = requests so far, ever. Requests of one millisecond
 *   share an entry. The count in a window is a difference of two members: O(log n), whatever the limit.
 * - `:tokens` sorted set: score = millisecond, member = request id; `:reserved` hash: id → tokens;
 *   `:sum` their total. What has left the window is taken off before it is read.
 * - `:active` sorted set: score = when the lease ends, member = request id. A crashed router's leases end.
 */
const COMMON = `
local MINUTE, HOUR = 60000, 3600000

local function clock(prefixes)
  local time = redis.call('TIME')
  -- Rounded up, so that no entry leaves its window early.
  local now = time[1] * 1000 + math.ceil(time[2] / 1000)
  for _, prefix in ipairs(prefixes) do
    local newest = redis.call('ZRANGE', prefix .. ':requests', -1, -1, 'WITHSCORES')
    if newest[2] and tonumber(newest[2]) > now then now = tonumber(newest[2]) end
  end
  return now
end

local function drop_expired_tokens(prefix, now)
  while true do
    local gone = redis.call('ZRANGEBYSCORE', prefix .. ':tokens', '-inf', now - MINUTE, 'LIMIT', 0, 500)
    if #gone == 0 then return end
    local amounts = redis.call('HMGET', prefix .. ':reserved', unpack(gone))
    local total = 0
    for _, amount in ipairs(amounts) do total = total + tonumber(amount or 0) end
    redis.call('ZREM', prefix .. ':tokens', unpack(gone))
    redis.call('HDEL', prefix .. ':reserved', unpack(gone))
    redis.call('DECRBY', prefix .. ':sum', string.format('%.0f', total))
  end
end
`;

/**
 * KEYS: a prefix a scope. ARGV: request id, tokens to reserve, lease in milliseconds, then for each scope the
 * limits of requests a minute, requests an hour, tokens a minute and concurrent requests; -1 is no limit.
 *
 * Returns 12 integers: admitted (0 or 1); the binding scope (from 1), limit (1 to 4 in the order above), its
 * value, the current count and milliseconds to wait; limit, remaining and reset of the tightest request
 * window (-1: none) and of the tightest token window (-1: none).
 */
export const ADMIT = `${COMMON}
local id, tokens, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = clock(KEYS)

local function total_at(requests, time)
  local entry = redis.call('ZREVRANGEBYSCORE', requests, time, '-inf', 'LIMIT', 0, 1)
  return tonumber(entry[1] or 0)
end

-- The time of the n-th oldest request after a time.
local function time_of_nth(requests, since, n)
  local wanted = total_at(requests, since) + n
  local low = redis.call('ZCOUNT', requests, '-inf', since)
  local high = redis.call('ZCARD', requests) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('ZRANGE', requests, middle, middle)[1]) < wanted then low = middle + 1 else high = middle end
  end
  return tonumber(redis.call('ZRANGE', requests, low, low, 'WITHSCORES')[2])
end

-- Milliseconds until so many tokens have left the window.
local function wait_for_tokens(prefix, needed)
  local from = 0
  while true do
    local batch = redis.call('ZRANGE', prefix .. ':tokens', from, from + 99, 'WITHSCORES')
    if #batch == 0 then return MINUTE end
    for i = 1, #batch, 2 do
      needed = needed - tonumber(redis.call('HGET', prefix .. ':reserved', batch[i]) or 0)
      if needed <= 0 then return tonumber(batch[i + 1]) + MINUTE - now end
    end
    from = from + 100
  end
end

local denied = nil
local function deny(scope, name, limit, current, wait)
  if not denied or wait > denied[5] then denied = { scope, name, limit, current, wait } end
end

local tightest = { { -1, -1, -1 }, { -1, -1, -1 } }
local function consider(kind, limit, remaining, reset)
  local best = tightest[kind]
  remaining = math.max(0, remaining)
  if best[1] == -1 or remaining < best[2] or (remaining == best[2] and reset > best[3]) then
    tightest[kind] = { limit, remaining, math.max(0, reset) }
  end
end

local windows = { MINUTE, HOUR }
for scope, prefix in ipairs(KEYS) do
  local base = 3 + (scope - 1) * 4
  local requests = prefix .. ':requests'
  for name, length in ipairs(windows) do
    local limit = tonumber(ARGV[base + name])
    if limit >= 0 then
      local since = now - length
      local current = total_at(requests, '+inf') - total_at(requests, since)
      if current >= limit then
        deny(scope, name, limit, current, time_of_nth(requests, since, current - limit + 1) + length - now)
      end
    end
  end
  local token_limit = tonumber(ARGV[base + 3])
  if token_limit >= 0 then
    drop_expired_tokens(prefix, now)
    local current = tonumber(redis.call('GET', prefix .. ':sum') or 0)
    if current + tokens > token_limit then
      deny(scope, 3, token_limit, current, wait_for_tokens(prefix, current + tokens - token_limit))
    end
  end
  local places = tonumber(ARGV[base + 4])
  if places >= 0 then
    redis.call('ZREMRANGEBYSCORE', prefix .. ':active', '-inf', now)
    local current = redis.call('ZCARD', prefix .. ':active')
    if current >= places then deny(scope, 4, places, current, 1000) end
  end
end

if not denied then
  for scope, prefix in ipairs(KEYS) do
    local base = 3 + (scope - 1) * 4
    local requests = prefix .. ':requests'
    local kept = (tonumber(ARGV[base + 2]) >= 0 and HOUR) or (tonumber(ARGV[base + 1]) >= 0 and MINUTE) or 0
    if kept > 0 then
      local newest = redis.call('ZRANGE', requests, -1, -1, 'WITHSCORES')
      local total = tonumber(newest[1] or 0)
      if newest[2] and tonumber(newest[2]) == now then redis.call('ZREM', requests, newest[1]) end
      redis.call('ZADD', requests, now, string.format('%.0f', total + 1))
      -- One entry before the window stays: counts are differences to it.
      local before = redis.call('ZCOUNT', requests, '-inf', now - kept)
      if before > 1 then redis.call('ZREMRANGEBYRANK', requests, 0, before - 2) end
      redis.call('PEXPIRE', requests, kept + 1000)
    end
    if tonumber(ARGV[base + 3]) >= 0 then
      redis.call('ZADD', prefix .. ':tokens', now, id)
      redis.call('HSET', prefix .. ':reserved', id, tokens)
      redis.call('INCRBY', prefix .. ':sum', tokens)
      for _, part in ipairs({ ':tokens', ':reserved', ':sum' }) do redis.call('PEXPIRE', prefix .. part, MINUTE + 1000) end
    end
    if tonumber(ARGV[base + 4]) >= 0 then
      redis.call('ZADD', prefix .. ':active', now + lease, id)
      redis.call('PEXPIRE', prefix .. ':active', lease + 1000)
    end
  end
end

for scope, prefix in ipairs(KEYS) do
  local base = 3 + (scope - 1) * 4
  local requests = prefix .. ':requests'
  for name, length in ipairs(windows) do
    local limit = tonumber(ARGV[base + name])
    if limit >= 0 then
      local newest = redis.call('ZRANGE', requests, -1, -1, 'WITHSCORES')
      local current = total_at(requests, '+inf') - total_at(requests, now - length)
      consider(1, limit, limit - current, tonumber(newest[2] or (now - length)) + length - now)
    end
  end
  local token_limit = tonumber(ARGV[base + 3])
  if token_limit >= 0 then
    local newest = redis.call('ZRANGE', prefix .. ':tokens', -1, -1, 'WITHSCORES')
    local current = tonumber(redis.call('GET', prefix .. ':sum') or 0)
    consider(2, token_limit, token_limit - current, tonumber(newest[2] or (now - MINUTE)) + MINUTE - now)
  end
end

local answer = denied and { 0, unpack(denied) } or { 1, 0, 0, 0, 0, 0 }
for _, state in ipairs(tightest) do for _, value in ipairs(state) do answer[#answer + 1] = value end end
return answer
`;

/**
 * KEYS: a prefix a scope. ARGV: request id; the tokens that were really used, or -1 to leave the reservation
 * as it is; 1 to give the place among concurrent requests back. Harmless when repeated or too late.
 */
export const SETTLE = `
local id, tokens, leaves = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
for _, prefix in ipairs(KEYS) do
  local reserved = redis.call('HGET', prefix .. ':reserved', id)
  if reserved and tokens >= 0 then
    redis.call('HSET', prefix .. ':reserved', id, tokens)
    redis.call('INCRBY', prefix .. ':sum', string.format('%.0f', tokens - tonumber(reserved)))
  end
  if leaves then redis.call('ZREM', prefix .. ':active', id) end
end
return 1
`;

/** KEYS: a prefix a scope. ARGV: request id, lease in milliseconds. Lengthens a lease that still holds. */
export const RENEW = `
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.ceil(time[2] / 1000) + tonumber(ARGV[2])
for _, prefix in ipairs(KEYS) do
  redis.call('ZADD', prefix .. ':active', 'XX', 'GT', ends, ARGV[1])
  if redis.call('EXISTS', prefix .. ':active') == 1 then redis.call('PEXPIRE', prefix .. ':active', tonumber(ARGV[2]) + 1000) end
end
return 1
`;
