import { TOKEN_ENTRIES_SEEN } from '#router/limits/limit-states.ts';

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
 * - `:told` set: routers that told again what they had admitted, after Redis lost its data.
 *
 * Kept per tenant: `generation`, a number that is new when Redis knows the tenant for the first time, or again after it lost
 * its data. Routers remember it, and so notice the loss.
 */
/** Longer than a router expects a generation that it has not seen since, milliseconds. */
const GENERATION_KEPT_MS = 3_600_000;
/** After a loss, routers have so long to tell what they hold, milliseconds: a beat of each, and half of one. Decisions wait. */
export const SETTLING_MS = 750;

/**
 * KEYS: a prefix a scope, then the tenant's generation. ARGV: request id, tokens to reserve, lease in milliseconds, the
 * generation that is expected (empty: none), then for each scope the limits of requests a minute, requests an hour, tokens a
 * minute and concurrent requests; -1 is no limit.
 *
 * Returns integers: 2, milliseconds to wait, and the generation, where Redis lost its data: nothing is decided. Else
 * admitted (0 or 1); the binding scope (from 1), limit (1 to 4 in the order above), its
 * value, the current count and milliseconds to wait; then, for each limit that is set, scope by scope and in the order
 * above, what remains of it, and milliseconds until all of it and until some more of it is free (-1: not known); the generation.
 */
export const ADMIT = `
local MINUTE, HOUR = 60000, 3600000
local id, tokens, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
-- Rounded up, so that no entry leaves its window early.
local now = time[1] * 1000 + math.ceil(time[2] / 1000)

local generation_key, expected = KEYS[#KEYS], ARGV[4]
local generation = redis.call('GET', generation_key)
if generation then
  redis.call('PEXPIRE', generation_key, ${GENERATION_KEPT_MS})
else
  generation = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('SET', generation_key, generation, 'PX', ${GENERATION_KEPT_MS})
end
local age = now - tonumber(generation) / 1000
if expected ~= '' and expected ~= generation and age < ${SETTLING_MS} then
  redis.call('SET', generation_key .. ':settling', 1, 'PX', ${SETTLING_MS})
end
local settling = redis.call('PTTL', generation_key .. ':settling')
if settling >= 0 or (expected ~= '' and expected ~= generation) then return { 2, math.max(0, settling), generation } end

local scopes = {}
for index = 1, #KEYS - 1 do
  local prefix = KEYS[index]
  local base = 4 + (index - 1) * 4
  local scope = {
    requests = prefix .. ':requests', tokens = prefix .. ':tokens', reserved = prefix .. ':reserved',
    sum = prefix .. ':sum', active = prefix .. ':active', windows = {},
    token_limit = tonumber(ARGV[base + 3]), places = tonumber(ARGV[base + 4]), total = 0, newest = 0,
  }
  for name, length in ipairs({ MINUTE, HOUR }) do
    local limit = tonumber(ARGV[base + name])
    if limit >= 0 then
      scope.windows[#scope.windows + 1] = { name = name, length = length, limit = limit }
      scope.kept = length
    end
  end
  if scope.kept then
    local newest = redis.call('ZRANGE', scope.requests, -1, -1, 'WITHSCORES')
    scope.total, scope.newest = tonumber(newest[1] or 0), tonumber(newest[2] or 0)
    now = math.max(now, scope.newest)
  end
  scopes[index] = scope
end

-- Entries until a moment, requests until then, and when the first after it came. There is one after it.
local function look_at(requests, moment)
  local entries = redis.call('ZCOUNT', requests, '-inf', moment)
  local around = redis.call('ZRANGE', requests, math.max(0, entries - 1), entries, 'WITHSCORES')
  if entries == 0 then return 0, 0, tonumber(around[2]) end
  return entries, tonumber(around[1]), tonumber(around[4])
end

-- The time of the n-th oldest request after a moment at which there had been so many.
local function time_of_nth(requests, since, before, n)
  local low = redis.call('ZCOUNT', requests, '-inf', since)
  local high = redis.call('ZCARD', requests) - 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('ZRANGE', requests, middle, middle)[1]) < before + n then low = middle + 1 else high = middle end
  end
  return tonumber(redis.call('ZRANGE', requests, low, low, 'WITHSCORES')[2])
end

-- What left the window is taken off the sum.
local function drop_expired_tokens(scope)
  while true do
    local gone = redis.call('ZRANGEBYSCORE', scope.tokens, '-inf', now - MINUTE, 'LIMIT', 0, 500)
    if #gone == 0 then return end
    local total = 0
    for _, amount in ipairs(redis.call('HMGET', scope.reserved, unpack(gone))) do total = total + tonumber(amount or 0) end
    redis.call('ZREM', scope.tokens, unpack(gone))
    redis.call('HDEL', scope.reserved, unpack(gone))
    -- A key that is made anew here would have no end.
    if redis.call('EXISTS', scope.sum) == 1 then redis.call('DECRBY', scope.sum, string.format('%.0f', total)) end
  end
end

-- Milliseconds until so many tokens have left the window.
local function wait_for_tokens(scope, needed)
  local from = 0
  while true do
    local batch = redis.call('ZRANGE', scope.tokens, from, from + 99, 'WITHSCORES')
    if #batch == 0 then return MINUTE end
    for i = 1, #batch, 2 do
      needed = needed - tonumber(redis.call('HGET', scope.reserved, batch[i]) or 0)
      if needed <= 0 then return tonumber(batch[i + 1]) + MINUTE - now end
    end
    from = from + 100
  end
end

local denied = nil
local function deny(index, name, limit, current, wait)
  if not denied or wait > denied[5] then denied = { index, name, limit, current, wait } end
end

for index, scope in ipairs(scopes) do
  for _, window in ipairs(scope.windows) do
    local since = now - window.length
    local before = scope.total
    if scope.newest > since then window.outside, before, window.oldest = look_at(scope.requests, since) end
    window.current = scope.total - before
    if window.current >= window.limit then
      local freed = time_of_nth(scope.requests, since, before, window.current - window.limit + 1)
      deny(index, window.name, window.limit, window.current, freed + window.length - now)
    end
  end
  if scope.token_limit >= 0 then
    drop_expired_tokens(scope)
    scope.held = tonumber(redis.call('GET', scope.sum) or 0)
    -- A Redis that runs out of memory may lose one key of several. Held by nobody, tokens would be held for ever.
    if scope.held < 0 or (scope.held + tokens > scope.token_limit and scope.held > 0 and redis.call('ZCARD', scope.tokens) == 0) then
      redis.call('DEL', scope.sum, scope.reserved)
      scope.held = 0
    end
    local over = scope.held + tokens - scope.token_limit
    if over > 0 then deny(index, 3, scope.token_limit, scope.held, wait_for_tokens(scope, over)) end
  end
  if scope.places >= 0 then
    redis.call('ZREMRANGEBYSCORE', scope.active, '-inf', now)
    scope.current = redis.call('ZCARD', scope.active)
    if scope.current >= scope.places then deny(index, 4, scope.places, scope.current, 1000) end
  end
end

if not denied then
  for _, scope in ipairs(scopes) do
    if scope.kept then
      if scope.newest == now then redis.call('ZREMRANGEBYSCORE', scope.requests, now, now) end
      scope.total, scope.newest = scope.total + 1, now
      redis.call('ZADD', scope.requests, now, string.format('%.0f', scope.total))
      -- One entry before the window stays: counts are differences to it.
      local outside = scope.windows[#scope.windows].outside or redis.call('ZCARD', scope.requests) - 1
      if outside > 1 then redis.call('ZREMRANGEBYRANK', scope.requests, 0, outside - 2) end
      redis.call('PEXPIRE', scope.requests, scope.kept + 1000)
      for _, window in ipairs(scope.windows) do window.current = window.current + 1 end
    end
    if scope.token_limit >= 0 then
      redis.call('ZADD', scope.tokens, now, id)
      redis.call('HSET', scope.reserved, id, tokens)
      scope.newest_tokens = now
      scope.held = redis.call('INCRBY', scope.sum, tokens)
      for _, key in ipairs({ scope.tokens, scope.reserved, scope.sum }) do redis.call('PEXPIRE', key, MINUTE + 1000) end
    end
    if scope.places >= 0 then
      scope.current = scope.current + redis.call('ZADD', scope.active, now + lease, id)
      redis.call('PEXPIRE', scope.active, lease + 1000)
    end
  end
end

local answer = denied and { 0, unpack(denied) } or { 1, 0, 0, 0, 0, 0 }
local function tell(remaining, reset, next)
  answer[#answer + 1] = math.max(0, remaining)
  answer[#answer + 1] = math.max(0, reset)
  answer[#answer + 1] = next
end

-- Milliseconds until the oldest tokens leave the window.
local function next_tokens(scope)
  -- Nearly always the first holds some.
  for _, last in ipairs({ 0, ${TOKEN_ENTRIES_SEEN - 1} }) do
    local oldest = redis.call('ZRANGE', scope.tokens, 0, last, 'WITHSCORES')
    for i = 1, #oldest, 2 do
      if tonumber(redis.call('HGET', scope.reserved, oldest[i]) or 0) > 0 then return tonumber(oldest[i + 1]) + MINUTE - now end
    end
  end
  return -1
end

for _, scope in ipairs(scopes) do
  for _, window in ipairs(scope.windows) do
    -- Where there was none, it is the one that is counted now.
    local oldest = window.oldest or scope.newest
    local next = window.current > 0 and oldest + window.length - now or -1
    tell(window.limit - window.current, scope.newest + window.length - now, next)
  end
  if scope.token_limit >= 0 then
    local newest = scope.newest_tokens or tonumber(redis.call('ZRANGE', scope.tokens, -1, -1, 'WITHSCORES')[2] or (now - MINUTE))
    local next = scope.held > 0 and next_tokens(scope) or -1
    tell(scope.token_limit - scope.held, newest + MINUTE - now, next)
  end
  if scope.places >= 0 then tell(scope.places - scope.current, 0, -1) end
end
answer[#answer + 1] = generation
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
    if redis.call('EXISTS', prefix .. ':sum') == 1 then redis.call('INCRBY', prefix .. ':sum', string.format('%.0f', tokens - tonumber(reserved))) end
  end
  if leaves then redis.call('ZREM', prefix .. ':active', id) end
end
return 1
`;

/**
 * KEYS: a prefix a scope. ARGV: request id, lease in milliseconds. Lengthens a lease; one that Redis lost, or that ended while
 * its router could not renew it, is made again: the request still runs.
 */
export const RENEW = `
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.ceil(time[2] / 1000) + tonumber(ARGV[2])
for _, prefix in ipairs(KEYS) do
  redis.call('ZADD', prefix .. ':active', 'GT', ends, ARGV[1])
  redis.call('PEXPIRE', prefix .. ':active', tonumber(ARGV[2]) + 1000)
end
return 1
`;

/**
 * KEYS: a prefix a scope. ARGV: router; for each scope how long requests are kept, milliseconds, and how many pairs follow;
 * then the pairs: milliseconds ago, and how many requests the router admitted then. Adds to a log that Redis lost what one
 * router knows of it, once a router.
 */
export const RETELL = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.ceil(time[2] / 1000)
local at = 2
for _, prefix in ipairs(KEYS) do
  local kept, pairs_told = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  local entries, told, before = {}, at, 0
  at = at + pairs_told * 2
  local requests = prefix .. ':requests'
  local known = redis.call('ZRANGE', requests, 0, -1, 'WITHSCORES')
  -- A log that counts from far back was not lost.
  local is_new = #known == 0 or tonumber(known[1]) < 1000
  if pairs_told > 0 and is_new and redis.call('SADD', prefix .. ':told', ARGV[1]) == 1 then
    redis.call('PEXPIRE', prefix .. ':told', 3600000)
    for i = 1, #known, 2 do
      entries[#entries + 1] = { tonumber(known[i + 1]), tonumber(known[i]) - before }
      before = tonumber(known[i])
    end
    for i = told, at - 1, 2 do entries[#entries + 1] = { now - tonumber(ARGV[i]), tonumber(ARGV[i + 1]) } end
    table.sort(entries, function (a, b) return a[1] < b[1] end)
    redis.call('DEL', requests)
    local total = 0
    for i, entry in ipairs(entries) do
      total = total + entry[2]
      -- Of one millisecond, the last total says all.
      if not entries[i + 1] or entries[i + 1][1] > entry[1] then
        redis.call('ZADD', requests, entry[1], string.format('%.0f', total))
      end
    end
    redis.call('PEXPIRE', requests, kept + 1000)
  end
end
return 1
`;

/**
 * KEYS: a prefix a tenant and month. ARGV: router, and in nano-dollars what it knows to be spent, what it has spent and
 * held beside that, the estimate in it that is asked for, and the limit (-1: nothing is asked, it only tells); lease in
 * milliseconds.
 *
 * Kept: `:known`, the most that any router read from the database; `:routers` hash: router → what it has beside that; `:seen`
 * sorted set: when each was heard last. All of it is told again, so that a Redis that lost it knows it within a second.
 * Returns 1 or 0, and what was spent and held before.
 */
export const BUDGET = `
local router, known, own, estimate, limit, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local known_key, routers, seen = KEYS[1] .. ':known', KEYS[1] .. ':routers', KEYS[1] .. ':seen'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now - lease)) do
  redis.call('HDEL', routers, gone)
  redis.call('ZREM', seen, gone)
end
-- Read at different times: spending only grows.
known = math.max(known, tonumber(redis.call('GET', known_key) or 0))
local before = known + own - estimate
local held = redis.call('HGETALL', routers)
for i = 1, #held, 2 do
  if held[i] ~= router then before = before + tonumber(held[i + 1]) end
end
local admitted = limit < 0 or before < limit
if not admitted then own = own - estimate end

redis.call('SET', known_key, string.format('%.0f', known), 'PX', 3600000)
redis.call('HSET', routers, router, string.format('%.0f', own))
redis.call('ZADD', seen, now, router)
redis.call('PEXPIRE', routers, 3600000)
redis.call('PEXPIRE', seen, 3600000)
return { admitted and 1 or 0, string.format('%.0f', before) }
`;
