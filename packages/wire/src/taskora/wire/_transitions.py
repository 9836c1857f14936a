"""Generated from lua/ by tools/bindings.py: do not edit.

One function per transition; each builds the call that runs it.
"""

from collections.abc import Sequence

from taskora.wire._call import Arg, Call, ExchangeReply, ScanPage, Script
from taskora.wire._keys import TaskKeys

ABANDON_WORKFLOW = Script(
    name="abandon_workflow",
    sha="c424d3291ed0a01c78284489840ecfff09f82ae0",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local keep_ms = tonumber(ARGV[2])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local found = fields_of(workflow_key, 'graph', 'state')
local is_given_up = not found[1] and found[2] == 'cancelled'
if not is_given_up and redis.call('EXISTS', workflow_key) == 1 then
  return 0
end
redis.call('HSET', workflow_key, 'state', 'cancelled', 'createdAt', now, 'error', 'never created')
redis.call('PEXPIRE', workflow_key, keep_ms)
return 1
""",
)


def abandon_workflow(
    *,
    workflow_key: str,
    now_ms: int | None,
    keep_ms: int,
) -> Call[int]:
    """abandon_workflow: (none) -> cancelled"""
    return Call(
        script=ABANDON_WORKFLOW,
        keys=(workflow_key,),
        args=("" if now_ms is None else now_ms, keep_ms),
    )


ADVANCE_WORKFLOW = Script(
    name="advance_workflow",
    sha="fad23ca9596288eeb356cf812f00fbbad3b87c98",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local keep_ms = tonumber(ARGV[2])
local STEPS = 3
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local nodes = nil
local followers = nil
local plans = {}
local function graph_nodes()
  if not nodes then
    local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
    nodes = known and type(graph) == 'table' and graph.nodes or {}
  end
  return nodes
end
local function numbers(text)
  local found = {}
  for number in string.gmatch(text, '%d+') do
    found[#found + 1] = tonumber(number)
  end
  return found
end
local function texts(list)
  local found = {}
  for i, number in ipairs(list) do
    found[i] = string.format('%d', number)
  end
  return found
end
local function followers_of(step)
  if not followers then
    followers = {}
    for index, node in ipairs(graph_nodes()) do
      for _, dep in ipairs(node.deps) do
        followers[dep] = followers[dep] or {}
        table.insert(followers[dep], index - 1)
      end
    end
  end
  return followers[step] or {}
end
local function plan_from_graph(step)
  local node = graph_nodes()[step + 1]
  if not node then
    return false
  end
  local input = '-'
  if type(node.data) ~= 'string' then
    local deps = texts(node.deps)
    input = #deps == 1 and deps[1] or '[' .. table.concat(deps, ',') .. ']'
  end
  return { job_id = node.jobId, version = string.format('%d', node._v), deps = node.deps, followers = followers_of(step),
    input = input, task = node.taskName }
end
local function plan_from_line(line)
  local job_id, version, deps, following, input, parent, task =
    string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.+)$')
  return { job_id = job_id, version = version, deps = numbers(deps), followers = numbers(following), input = input,
    parent = tonumber(parent), task = task }
end
local function plan_of(step)
  local plan = plans[step]
  if plan == nil then
    local line = redis.call('HGET', workflow_key, 'py:plan:' .. step)
    plan = line and plan_from_line(line) or plan_from_graph(step)
    plans[step] = plan
  end
  return plan or nil
end
local function field_of(step, name)
  return redis.call('HGET', workflow_key, 'n:' .. step .. ':' .. name)
end
local function terminals()
  local line = redis.call('HGET', workflow_key, 'py:terminal')
  if line then
    return numbers(line)
  end
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
  return known and type(graph) == 'table' and graph.terminal or {}
end
local function told_in()
  local first = terminals()[1]
  local plan = first and plan_of(first)
  return plan and plan.task or ''
end
local function is_held(step, state)
  return state == 'active' and redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1
end
local state = fields_of(workflow_key, 'state')[1]
if state ~= 'running' then
  return { state or '', state and told_in() or '', {} }
end
local ready, reported = {}, {}
local anything_completed = false
local function result_of(step)
  local result = field_of(step, 'result')
  return result and result ~= '' and result or 'null'
end
local function all_completed(steps)
  for i = #steps, 1, -1 do
    if field_of(steps[i], 'state') ~= 'completed' then
      return false
    end
  end
  return true
end
local function input_of(step, plan)
  if plan.input == '-' then
    return graph_nodes()[step + 1].data
  end
  return (string.gsub(plan.input, '%d+', result_of))
end
local function report(step, plan)
  if not reported[step] then
    reported[step] = true
    ready[#ready + 1] = { string.format('%d', step), plan.task, plan.job_id, plan.version, input_of(step, plan) }
  end
end
local function start(step, plan, again)
  local found = field_of(step, 'state')
  if found == 'pending' then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'active')
    report(step, plan)
  elseif found == 'active' and again and not is_held(step, found) then
    report(step, plan)
  end
end
local function all_spawned_completed(step)
  local spawned = redis.call('HGET', workflow_key, 'py:spawned:' .. step)
  return not spawned or all_completed(numbers(spawned))
end
local function drop(steps)
  local line = redis.call('HGET', workflow_key, 'py:dropped') or ''
  for _, index in ipairs(steps) do
    redis.call('HSET', workflow_key, 'n:' .. index .. ':state', 'cancelled')
    line = (line == '' and '' or line .. ',') .. index
  end
  redis.call('HSET', workflow_key, 'py:dropped', line)
end
local function choose_plan(step, settled_by)
  local planned = redis.call('HGET', workflow_key, 'py:planned:' .. step)
  if not planned then
    return
  end
  for token, first, last, outputs in string.gmatch(planned, '(%S+) (%d+) (%d+) (%S+);') do
    if token == settled_by then
      redis.call('HSET', workflow_key, 'py:spawned:' .. step, outputs)
    else
      local others = {}
      for index = tonumber(first), tonumber(last) do
        others[#others + 1] = string.format('%d', index)
      end
      drop(others)
    end
  end
  redis.call('HDEL', workflow_key, 'py:planned:' .. step)
end
local function complete(step, result, again)
  local plan = plan_of(step)
  if not all_spawned_completed(step) then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'active', 'n:' .. step .. ':result', result)
    for _, follower in ipairs(plan.followers) do
      local spawned = plan_of(follower)
      if spawned.parent == step then
        start(follower, spawned, again)
      end
    end
    return
  end
  redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'completed', 'n:' .. step .. ':result', result)
  anything_completed = true
  for _, follower in ipairs(plan.followers) do
    local following = plan_of(follower)
    if all_completed(following.deps) then
      start(follower, following, again)
    end
  end
  if plan.parent and is_held(plan.parent, field_of(plan.parent, 'state')) and all_spawned_completed(plan.parent) then
    complete(plan.parent, field_of(plan.parent, 'result'), again)
  end
end
for i = STEPS, #ARGV, 4 do
  local step = tonumber(ARGV[i])
  local plan = plan_of(step)
  if plan and plan.job_id == ARGV[i + 1] then
    local found = field_of(step, 'state')
    local again = found == 'completed' or is_held(step, found)
    if again or found == 'pending' or found == 'active' then
      if not again then
        choose_plan(step, ARGV[i + 2])
      end
      complete(step, again and field_of(step, 'result') or ARGV[i + 3], again)
    end
  end
end
local function finish()
  local results = {}
  for i, step in ipairs(terminals()) do
    results[i] = result_of(step)
  end
  state = 'completed'
  redis.call('HSET', workflow_key, 'state', state, 'py:finishedAt', now, 'result',
    #results == 1 and results[1] or '[' .. table.concat(results, ',') .. ']')
  redis.call('PEXPIRE', workflow_key, keep_ms)
end
if anything_completed and all_completed(terminals()) then
  finish()
end
return { state, state == 'completed' and told_in() or '', ready }
""",
)


def advance_workflow(
    *,
    workflow_key: str,
    now_ms: int | None,
    keep_ms: int,
    steps: Sequence[Arg],
) -> Call[tuple[bytes, bytes, list[list[bytes]]]]:
    """advance_workflow: running -> running | completed

    `steps` is flat: (step, job_id, settled_by, result) repeated.
    """
    return Call(
        script=ADVANCE_WORKFLOW,
        keys=(workflow_key,),
        args=("" if now_ms is None else now_ms, keep_ms, *steps),
    )


ANNOUNCE_WORKER = Script(
    name="announce_worker",
    sha="4eefe176d62c7a244a73077de8a35f8854c9252c",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local worker_id = ARGV[2]
local about = ARGV[3]
local leaves = ARGV[4]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000
local WORKER_BEATS = prefix .. 'workers:beats'
local WORKERS_ABOUT = prefix .. 'workers:about'
local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end
local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
if leaves == '1' then
  redis.call('ZREM', WORKER_BEATS, worker_id)
  redis.call('HDEL', WORKERS_ABOUT, worker_id)
else
  redis.call('ZADD', WORKER_BEATS, now, worker_id)
  redis.call('HSET', WORKERS_ABOUT, worker_id, about)
end
for _, id in ipairs(redis.call('ZRANGE', WORKER_BEATS, '-inf', '(' .. oldest_beat(), 'BYSCORE')) do
  redis.call('ZREM', WORKER_BEATS, id)
  redis.call('HDEL', WORKERS_ABOUT, id)
end
redis.call('PEXPIRE', WORKER_BEATS, WORKERS_KEPT_MS)
redis.call('PEXPIRE', WORKERS_ABOUT, WORKERS_KEPT_MS)
return redis.call('ZCARD', WORKER_BEATS)
""",
)


def announce_worker(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    worker_id: str,
    about: bytes,
    leaves: bool,
) -> Call[int]:
    """announce_worker: moves no job"""
    return Call(
        script=ANNOUNCE_WORKER,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, worker_id, about, "1" if leaves else "0"),
    )


CANCEL = Script(
    name="cancel",
    sha="28f9a5ba8e3f57197c190d035f69a5d001de93be",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local cancelled_key = KEYS[4]
local marker_key = KEYS[5]
local events_key = KEYS[6]
local cancel_channel = KEYS[7]
local prefix = KEYS[8]
local given_now_ms = ARGV[1]
local job_id = ARGV[2]
local reason = ARGV[3]
local resend = ARGV[4]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and tonumber(held) or 0
end
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  local score = order_ms - priority * PRIORITY_WEIGHT
  local has_priority = priority > 0
  if not has_priority and was_freed then
    local first = redis.call('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  elseif not has_priority then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  if redis.call('ZADD', key, string.format('%.17g', score == score and score or 0), id) == 1 then
    redis.call('INCR', PARKED_COUNT)
  end
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if redis.call('ZREM', key, id) == 0 then
    return false
  end
  if redis.call('DECR', PARKED_COUNT) <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function free_next(concurrency_key)
  local id = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
  if not id or not unpark(id, concurrency_key) then
    return false
  end
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
  return true
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
end
local function release_concurrency(concurrency_key)
  if not concurrency_key or concurrency_key == '' then
    return false
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local left = redis.pcall('DECR', counter)
  if type(left) ~= 'number' or left <= 0 then
    redis.call('DEL', counter)
  end
  free_next(concurrency_key)
  return true
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local UNKNOWN, CANCELLED, REQUESTED, ENDED = 0, 1, 2, 3
local FINAL = { completed = true, failed = true, cancelled = true, expired = true }
local function withdraw(job_id, concurrency_key)
  if redis.call('LREM', wait_key, 1, job_id) == 1 then
    return
  end
  if redis.call('ZREM', prioritized_key, job_id) == 1 or redis.call('LREM', FREED, 1, job_id) == 1 then
    if concurrency_key and free_next(concurrency_key) then
      wake_now()
    end
  elseif concurrency_key then
    unpark(job_id, concurrency_key)
  end
end
local function cancel(job_id, reason)
  local job_key = prefix .. job_id
  local state, dedup_key, concurrency_key = unpack(redis.call('HMGET', job_key, 'state', 'dedupKey', 'concurrencyKey'))
  if not state then
    return UNKNOWN
  end
  if FINAL[state] then
    return ENDED
  end
  if reason ~= '' then
    redis.call('HSET', job_key, 'cancelReason', reason)
  end
  if state == 'active' then
    redis.call('HSET', job_key, 'cancelledAt', now)
    redis.call('PUBLISH', cancel_channel, job_id)
    return REQUESTED
  end
  if state == 'waiting' then
    withdraw(job_id, concurrency_key)
  else
    redis.call('ZREM', delayed_key, job_id)
    redis.call('ZREM', NEWER, job_id)
  end
  redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
  redis.call('ZADD', cancelled_key, now, job_id)
  release_dedup(dedup_key, job_id)
  emit('cancelled', job_id, 'reason', reason)
  return CANCELLED
end
local reply = cancel(job_id, reason)
if reply == CANCELLED then
  note_end(job_id, redis.call('HGET', prefix .. job_id, '_wf'))
elseif reply == ENDED and resend == '1' then
  local found = fields_of(prefix .. job_id, 'state', 'cancelReason')
  if found[1] == 'cancelled' and (found[2] or '') == reason then
    return CANCELLED
  end
end
return reply
""",
)


def cancel(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    job_id: str,
    reason: str,
    resend: bool,
) -> Call[int]:
    """cancel: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request"""
    return Call(
        script=CANCEL,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.cancelled_key, keys.marker_key, keys.events_key, keys.cancel_channel, keys.prefix),
        args=("" if now_ms is None else now_ms, job_id, reason, "1" if resend else "0"),
    )


CANCEL_STEPS = Script(
    name="cancel_steps",
    sha="eb2e831a9a3da0fcf5a582ad4bff6e22979ddd3e",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local cancelled_key = KEYS[4]
local marker_key = KEYS[5]
local events_key = KEYS[6]
local cancel_channel = KEYS[7]
local prefix = KEYS[8]
local given_now_ms = ARGV[1]
local reason = ARGV[2]
local stopped_try = tonumber(ARGV[3])
local JOB_IDS = 4
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and tonumber(held) or 0
end
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  local score = order_ms - priority * PRIORITY_WEIGHT
  local has_priority = priority > 0
  if not has_priority and was_freed then
    local first = redis.call('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  elseif not has_priority then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  if redis.call('ZADD', key, string.format('%.17g', score == score and score or 0), id) == 1 then
    redis.call('INCR', PARKED_COUNT)
  end
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if redis.call('ZREM', key, id) == 0 then
    return false
  end
  if redis.call('DECR', PARKED_COUNT) <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function free_next(concurrency_key)
  local id = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
  if not id or not unpark(id, concurrency_key) then
    return false
  end
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
  return true
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
end
local function release_concurrency(concurrency_key)
  if not concurrency_key or concurrency_key == '' then
    return false
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local left = redis.pcall('DECR', counter)
  if type(left) ~= 'number' or left <= 0 then
    redis.call('DEL', counter)
  end
  free_next(concurrency_key)
  return true
end
local UNKNOWN, CANCELLED, REQUESTED, ENDED = 0, 1, 2, 3
local FINAL = { completed = true, failed = true, cancelled = true, expired = true }
local function withdraw(job_id, concurrency_key)
  if redis.call('LREM', wait_key, 1, job_id) == 1 then
    return
  end
  if redis.call('ZREM', prioritized_key, job_id) == 1 or redis.call('LREM', FREED, 1, job_id) == 1 then
    if concurrency_key and free_next(concurrency_key) then
      wake_now()
    end
  elseif concurrency_key then
    unpark(job_id, concurrency_key)
  end
end
local function cancel(job_id, reason)
  local job_key = prefix .. job_id
  local state, dedup_key, concurrency_key = unpack(redis.call('HMGET', job_key, 'state', 'dedupKey', 'concurrencyKey'))
  if not state then
    return UNKNOWN
  end
  if FINAL[state] then
    return ENDED
  end
  if reason ~= '' then
    redis.call('HSET', job_key, 'cancelReason', reason)
  end
  if state == 'active' then
    redis.call('HSET', job_key, 'cancelledAt', now)
    redis.call('PUBLISH', cancel_channel, job_id)
    return REQUESTED
  end
  if state == 'waiting' then
    withdraw(job_id, concurrency_key)
  else
    redis.call('ZREM', delayed_key, job_id)
    redis.call('ZREM', NEWER, job_id)
  end
  redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
  redis.call('ZADD', cancelled_key, now, job_id)
  release_dedup(dedup_key, job_id)
  emit('cancelled', job_id, 'reason', reason)
  return CANCELLED
end
local function prevent(job_id)
  redis.call('HSET', prefix .. job_id, 'ts', now, '_v', '1', 'attempt', '1', 'maxAttempts', '1', 'state', 'cancelled',
    'priority', '0', 'data', 'null', 'finishedOn', now, 'cancelReason', reason)
  redis.call('ZADD', cancelled_key, now, job_id)
end
local function cancel_step(job_id)
  local found = fields_of(prefix .. job_id, 'py:try', 'state')
  local lives_in = tonumber(found[1] or '0') or 0
  if lives_in > stopped_try then
    return ENDED
  end
  if found[2] == 'failed' and lives_in < stopped_try then
    redis.call('HSET', prefix .. job_id, 'py:try', string.format('%d', stopped_try))
  end
  return cancel(job_id, reason)
end
local replies = {}
for i = JOB_IDS, #ARGV do
  local reply = cancel_step(ARGV[i])
  if reply == UNKNOWN then
    prevent(ARGV[i])
  end
  replies[#replies + 1] = reply
end
return replies
""",
)


def cancel_steps(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    reason: str,
    stopped_try: int,
    job_ids: Sequence[Arg],
) -> Call[list[int]]:
    """cancel_steps: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request

    `job_ids` is flat: (job_id) repeated.
    """
    return Call(
        script=CANCEL_STEPS,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.cancelled_key, keys.marker_key, keys.events_key, keys.cancel_channel, keys.prefix),
        args=("" if now_ms is None else now_ms, reason, stopped_try, *job_ids),
    )


CLAIM_DUE = Script(
    name="claim_due",
    sha="14e03a3e9b7874de3fd099a444a66f8770221cae",
    text="""\
local schedules_next_key = KEYS[1]
local given_now_ms = ARGV[1]
local lease_ms = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local due = redis.call('ZRANGE', schedules_next_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
for i = 1, #due, 2 do
  redis.call('ZADD', schedules_next_key, ms_text(now_ms + lease_ms), due[i])
end
local following = redis.call('ZRANGE', schedules_next_key, 0, 0, 'WITHSCORES')
return { now_ms, following[2] or '', due }
""",
)


def claim_due(
    *,
    schedules_next_key: str,
    now_ms: int | None,
    lease_ms: int,
    limit: int,
) -> Call[tuple[int, bytes, list[bytes]]]:
    """claim_due: due -> claimed"""
    return Call(
        script=CLAIM_DUE,
        keys=(schedules_next_key,),
        args=("" if now_ms is None else now_ms, lease_ms, limit),
    )


COUNT_JOBS = Script(
    name="count_jobs",
    sha="6abfc7618247ffe1d54f7fe860c5223372e6bee8",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local active_key = KEYS[3]
local delayed_key = KEYS[4]
local completed_key = KEYS[5]
local failed_key = KEYS[6]
local expired_key = KEYS[7]
local cancelled_key = KEYS[8]
local prefix = KEYS[9]
local given_now_ms = ARGV[1]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local NEWER = prefix .. 'parked:newer'
local function anything_runs()
  for _, id in ipairs(redis.call('LRANGE', active_key, 0, -1)) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 1 then
      return true
    end
  end
  return false
end
local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000
local WORKER_BEATS = prefix .. 'workers:beats'
local WORKERS_ABOUT = prefix .. 'workers:about'
local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end
local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
local function age_of(id)
  local ts = id and tonumber(redis.call('HGET', prefix .. id, 'ts') or '')
  return ts and math.max(now_ms - ts, 0) or -1
end
local function oldest_of_lowest_priority()
  local last = redis.call('ZRANGE', prioritized_key, -1, -1)[1]
  local priority = last and tonumber(redis.call('HGET', prefix .. last, 'priority') or '')
  if not priority then
    return nil
  end
  local lowest_score = string.format('%.17g', -priority * 1e13)
  return redis.call('ZRANGE', prioritized_key, lowest_score, '+inf', 'BYSCORE', 'LIMIT', 0, 1)[1] or last
end
local function due_and_not_newer()
  local due = redis.call('ZCOUNT', delayed_key, '-inf', now)
  for _, id in ipairs(due > 0 and redis.call('ZRANGE', NEWER, 0, -1) or {}) do
    local due_ms = tonumber(redis.call('ZSCORE', delayed_key, id) or '')
    if due_ms and due_ms <= now_ms then
      due = due - 1
    end
  end
  return due
end
local function limited_until()
  local until_ms = tonumber(redis.call('GET', prefix .. 'parked:until') or '')
  return until_ms and until_ms > now_ms and until_ms or -1
end
local freed_key = prefix .. 'parked:freed'
local parked = tonumber(redis.call('GET', prefix .. 'parked:count') or '0')
local oldest = math.max(age_of(redis.call('LINDEX', wait_key, -1)), age_of(redis.call('LINDEX', freed_key, -1)),
  age_of(oldest_of_lowest_priority()))
local ready = redis.call('LLEN', wait_key) + redis.call('ZCARD', prioritized_key) + redis.call('LLEN', freed_key)
local workers = live_workers()
local unserved = 0
if workers == 0 and not anything_runs() then
  unserved = ready + due_and_not_newer()
end
return {
  ready + parked,
  redis.call('LLEN', active_key),
  redis.call('ZCARD', delayed_key),
  redis.call('ZCARD', completed_key),
  redis.call('ZCARD', failed_key),
  redis.call('ZCARD', expired_key),
  redis.call('ZCARD', cancelled_key),
  oldest,
  parked,
  redis.call('ZCARD', NEWER),
  unserved,
  workers,
  ready > 0 and limited_until() or -1,
}
""",
)


def count_jobs(
    *,
    keys: TaskKeys,
    now_ms: int | None,
) -> Call[list[int]]:
    """count_jobs: reads only"""
    return Call(
        script=COUNT_JOBS,
        keys=(keys.wait_key, keys.prioritized_key, keys.active_key, keys.delayed_key, keys.completed_key, keys.failed_key, keys.expired_key, keys.cancelled_key, keys.prefix),
        args=("" if now_ms is None else now_ms,),
    )


COUNT_VERSIONS = Script(
    name="count_versions",
    sha="0ff6094b6c83f0c3fe198f8d9ff0eab1bee4799c",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local active_key = KEYS[3]
local delayed_key = KEYS[4]
local prefix = KEYS[5]
local cursor = ARGV[1]
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local KEYS_AT_ONCE = 100
local left = 5000
local place, after, scan = string.match(cursor, '^(%d+):(%d+):(%d+)$')
place, after, scan = tonumber(place or '1'), tonumber(after or '0'), scan or '0'
local waiting, active, delayed = {}, {}, {}
local function add(counts, ids)
  for _, id in ipairs(ids) do
    local version = tonumber(fields_of(prefix .. id, '_v')[1] or '0') or 0
    counts[version] = (counts[version] or 0) + 1
  end
  after = after + #ids
  left = left - #ids
end
local function of_zset(key, counts)
  return function()
    add(counts, redis.call('ZRANGE', key, after, after + left - 1, 'REV'))
    return left > 0
  end
end
local function of_list(key, counts)
  return function()
    add(counts, redis.call('LRANGE', key, after, after + left - 1))
    return left > 0
  end
end
local function parked()
  repeat
    local step = redis.call('ZSCAN', PARKED_KEYS, scan, 'COUNT', KEYS_AT_ONCE)
    local skipped = after
    for i = 1, #step[2], 2 do
      local key = prefix .. 'parked:key:' .. step[2][i]
      local size = redis.call('ZCARD', key)
      if skipped < size then
        add(waiting, redis.call('ZRANGE', key, skipped, skipped + left - 1))
        if left <= 0 then
          return false
        end
      end
      skipped = math.max(skipped - size, 0)
    end
    left = left - #step[2]
    scan, after = step[1], 0
  until scan == '0' or left <= 0
  return scan == '0'
end
local PLACES = {
  of_zset(delayed_key, delayed),
  of_zset(prioritized_key, waiting),
  of_list(FREED, waiting),
  of_list(wait_key, waiting),
  parked,
  of_list(active_key, active),
}
local function flat(counts)
  local row = {}
  for version, count in pairs(counts) do
    row[#row + 1] = version
    row[#row + 1] = count
  end
  return row
end
local rest
while place <= #PLACES do
  if left <= 0 or not PLACES[place]() then
    rest = string.format('%d:%d:%s', place, after, scan)
    break
  end
  place, after, scan = place + 1, 0, '0'
end
return { flat(waiting), flat(active), flat(delayed), { rest } }
""",
)


def count_versions(
    *,
    keys: TaskKeys,
    cursor: str,
) -> Call[tuple[list[int], list[int], list[int], list[bytes]]]:
    """count_versions: reads only"""
    return Call(
        script=COUNT_VERSIONS,
        keys=(keys.wait_key, keys.prioritized_key, keys.active_key, keys.delayed_key, keys.prefix),
        args=(cursor,),
    )


CREATE_WORKFLOW = Script(
    name="create_workflow",
    sha="bcf7d9c08bcb9c78e2c2c0e4b69a6f9e04d9ac52",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local graph = ARGV[2]
local name = ARGV[3]
local terminal = ARGV[4]
local ttl_ms = tonumber(ARGV[5])
local over = ARGV[6]
local resend = ARGV[7]
local PLANS = 8
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
if redis.call('EXISTS', workflow_key) == 1 then
  local found = fields_of(workflow_key, 'graph', 'state', 'createdAt')
  local is_given_up = not found[1] and found[2] == 'cancelled'
  if not (is_given_up and found[3] == over) then
    return resend == '1' and found[1] == graph and 1 or 0
  end
  redis.call('DEL', workflow_key)
end
redis.call('HSET', workflow_key, 'state', 'running', 'createdAt', now, 'graph', graph, 'py:name', name,
  'py:terminal', terminal, 'py:count', string.format('%d', #ARGV - PLANS + 1))
if ttl_ms > 0 then
  redis.call('HSET', workflow_key, 'py:ttl', ms_text(ttl_ms), 'py:deadline', ms_text(now_ms + ttl_ms))
end
for i = PLANS, #ARGV do
  local step = string.format('%d', i - PLANS)
  redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'pending', 'py:plan:' .. step, ARGV[i])
end
return 1
""",
)


def create_workflow(
    *,
    workflow_key: str,
    now_ms: int | None,
    graph: bytes,
    name: str,
    terminal: str,
    ttl_ms: int,
    over: str,
    resend: bool,
    plans: Sequence[Arg],
) -> Call[int]:
    """create_workflow: (none) -> running

    `plans` is flat: (plan) repeated.
    """
    return Call(
        script=CREATE_WORKFLOW,
        keys=(workflow_key,),
        args=("" if now_ms is None else now_ms, graph, name, terminal, ttl_ms, over, "1" if resend else "0", *plans),
    )


DESCRIBE_WORKFLOW = Script(
    name="describe_workflow",
    sha="68b8e1548ac8b748e5de947d08560663af4114b6",
    text="""\
local workflow_key = KEYS[1]
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local nodes = nil
local followers = nil
local plans = {}
local function graph_nodes()
  if not nodes then
    local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
    nodes = known and type(graph) == 'table' and graph.nodes or {}
  end
  return nodes
end
local function numbers(text)
  local found = {}
  for number in string.gmatch(text, '%d+') do
    found[#found + 1] = tonumber(number)
  end
  return found
end
local function texts(list)
  local found = {}
  for i, number in ipairs(list) do
    found[i] = string.format('%d', number)
  end
  return found
end
local function followers_of(step)
  if not followers then
    followers = {}
    for index, node in ipairs(graph_nodes()) do
      for _, dep in ipairs(node.deps) do
        followers[dep] = followers[dep] or {}
        table.insert(followers[dep], index - 1)
      end
    end
  end
  return followers[step] or {}
end
local function plan_from_graph(step)
  local node = graph_nodes()[step + 1]
  if not node then
    return false
  end
  local input = '-'
  if type(node.data) ~= 'string' then
    local deps = texts(node.deps)
    input = #deps == 1 and deps[1] or '[' .. table.concat(deps, ',') .. ']'
  end
  return { job_id = node.jobId, version = string.format('%d', node._v), deps = node.deps, followers = followers_of(step),
    input = input, task = node.taskName }
end
local function plan_from_line(line)
  local job_id, version, deps, following, input, parent, task =
    string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.+)$')
  return { job_id = job_id, version = version, deps = numbers(deps), followers = numbers(following), input = input,
    parent = tonumber(parent), task = task }
end
local function plan_of(step)
  local plan = plans[step]
  if plan == nil then
    local line = redis.call('HGET', workflow_key, 'py:plan:' .. step)
    plan = line and plan_from_line(line) or plan_from_graph(step)
    plans[step] = plan
  end
  return plan or nil
end
local function field_of(step, name)
  return redis.call('HGET', workflow_key, 'n:' .. step .. ':' .. name)
end
local function terminals()
  local line = redis.call('HGET', workflow_key, 'py:terminal')
  if line then
    return numbers(line)
  end
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
  return known and type(graph) == 'table' and graph.terminal or {}
end
local function told_in()
  local first = terminals()[1]
  local plan = first and plan_of(first)
  return plan and plan.task or ''
end
local function is_held(step, state)
  return state == 'active' and redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1
end
local AT_ONCE = 1000
local function graph_name()
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph'))
  return known and type(graph) == 'table' and type(graph.name) == 'string' and graph.name or ''
end
local function states_of(first, last)
  local names = {}
  for step = first, last do
    names[#names + 1] = string.format('n:%d:state', step)
  end
  return fields_of(workflow_key, unpack(names))
end
local found = fields_of(workflow_key, 'state', 'py:name', 'createdAt', 'py:finishedAt', 'py:deadline', 'error', 'py:count')
if not found[1] or redis.call('HEXISTS', workflow_key, 'graph') == 0 then
  return {}
end
local count = tonumber(found[7]) or #graph_nodes()
local row = { found[1], found[2] or graph_name(), found[3], found[4], found[5], found[6] }
local counts, states = {}, {}
for first = 0, count - 1, AT_ONCE do
  local last = math.min(first + AT_ONCE, count) - 1
  local page = states_of(first, last)
  for i = 1, last - first + 1 do
    local state = page[i] or 'pending'
    if not counts[state] then
      states[#states + 1] = state
    end
    counts[state] = (counts[state] or 0) + 1
  end
end
for _, state in ipairs(states) do
  row[#row + 1] = state
  row[#row + 1] = string.format('%d', counts[state])
end
return row
""",
)


def describe_workflow(
    *,
    workflow_key: str,
) -> Call[list[bytes | None]]:
    """describe_workflow: reads only"""
    return Call(
        script=DESCRIBE_WORKFLOW,
        keys=(workflow_key,),
        args=(),
    )


DISPATCH_OCCURRENCES = Script(
    name="dispatch_occurrences",
    sha="0b049d61e1e093d337a30839253cb3e5ed47cfb9",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local marker_key = KEYS[4]
local events_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local schedule = ARGV[4]
local claimed_until_ms = tonumber(ARGV[5])
local overlap = ARGV[6]
local last_job_id = ARGV[7]
local JOBS = 8
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local ready_ids = {}
local any_ready = false
local earliest_due = nil
local function more_fields(extra, delay_ms, ttl_ms)
  local fields = { unpack(extra) }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  return fields
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    if not earliest_due or due < earliest_due then
      earliest_due = due
    end
    emit('delayed', id)
  else
    if priority > 0 or lifo then
      push_new(id, priority, now_ms, lifo)
    else
      ready_ids[#ready_ids + 1] = id
    end
    any_ready = true
    emit('waiting', id)
  end
end
local function line_up_created()
  in_batches(ready_ids, 'LPUSH', wait_key)
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function withdrawn_key(schedule, claimed_until_ms)
  return prefix .. 'occurrences:' .. schedule .. ':withdrawn:' .. ms_text(claimed_until_ms)
end
local REMEMBERED = 1000
local REMEMBER_MS = 7776000000
local NONE = {}
local UNFINISHED = { waiting = true, delayed = true, retrying = true, active = true }
if now_ms > claimed_until_ms or redis.call('EXISTS', withdrawn_key(schedule, claimed_until_ms)) == 1 then
  return -1
end
local dispatched_key = prefix .. 'occurrences:' .. schedule .. ':ids'
local function is_under_way(id)
  return id and id ~= '' and UNFINISHED[redis.call('HGET', prefix .. id, 'state') or '']
end
local new = {}
for i = JOBS, #ARGV, 4 do
  if not redis.call('LPOS', dispatched_key, ARGV[i]) then
    new[#new + 1] = i
  end
end
if #new == 0 then
  return 0
end
if overlap == '0' and (is_under_way(last_job_id) or is_under_way(redis.call('LINDEX', dispatched_key, 0))) then
  return -2
end
local created = 0
for _, i in ipairs(new) do
  if redis.call('EXISTS', prefix .. ARGV[i]) == 0 then
    create(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), 0, tonumber(ARGV[i + 3]), false, NONE)
    created = created + 1
  end
  redis.call('LPUSH', dispatched_key, ARGV[i])
end
redis.call('LTRIM', dispatched_key, 0, REMEMBERED - 1)
redis.call('PEXPIRE', dispatched_key, REMEMBER_MS)
line_up_created()
return created
""",
)


def dispatch_occurrences(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    version: int,
    max_attempts: int,
    schedule: str,
    claimed_until_ms: int,
    overlap: bool,
    last_job_id: str,
    jobs: Sequence[Arg],
) -> Call[int]:
    """dispatch_occurrences: (none) -> waiting | delayed

    `jobs` is flat: (job_id, data, delay_ms, ttl_ms) repeated.
    """
    return Call(
        script=DISPATCH_OCCURRENCES,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, version, max_attempts, schedule, claimed_until_ms, "1" if overlap else "0", last_job_id, *jobs),
    )


DUE_WORKFLOWS = Script(
    name="due_workflows",
    sha="6bbd9966ff26ed44f88ff4fbaa0c51d92aff0c75",
    text="""\
local running_workflows_key = KEYS[1]
local given_now_ms = ARGV[1]
local limit = tonumber(ARGV[2])
local again_ms = tonumber(ARGV[3])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local ids = redis.call('ZRANGE', running_workflows_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
local again_at_ms = now_ms + again_ms
again_at_ms = again_at_ms + 1 - again_at_ms % 2
for _, id in ipairs(ids) do
  redis.call('ZADD', running_workflows_key, ms_text(again_at_ms), id)
end
return { again_at_ms, ids }
""",
)


def due_workflows(
    *,
    running_workflows_key: str,
    now_ms: int | None,
    limit: int,
    again_ms: int,
) -> Call[tuple[int, list[bytes]]]:
    """due_workflows: index of running workflows"""
    return Call(
        script=DUE_WORKFLOWS,
        keys=(running_workflows_key,),
        args=("" if now_ms is None else now_ms, limit, again_ms),
    )


ENQUEUE = Script(
    name="enqueue",
    sha="0b4947f6e48ca32f77f210b1b364906013c378cb",
    text="""\
local prefix = KEYS[1]
local wait_key = prefix .. 'wait'
local marker_key = prefix .. 'marker'
local events_key = prefix .. 'events'
local given_now_ms = ARGV[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local resend = ARGV[4]
local has_terms = ARGV[5]
local JOBS = 6
local others
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local SHORT, LONG = 64, 1024
local made
function others()
if made then
return made
end
local prefix = KEYS[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local resend = ARGV[4]
local wait_key = prefix .. 'wait'
local prioritized_key = prefix .. 'prioritized'
local delayed_key = prefix .. 'delayed'
local marker_key = prefix .. 'marker'
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local ready_ids = {}
local any_ready = false
local earliest_due = nil
local function more_fields(extra, delay_ms, ttl_ms)
  local fields = { unpack(extra) }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  return fields
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    if not earliest_due or due < earliest_due then
      earliest_due = due
    end
    emit('delayed', id)
  else
    if priority > 0 or lifo then
      push_new(id, priority, now_ms, lifo)
    else
      ready_ids[#ready_ids + 1] = id
    end
    any_ready = true
    emit('waiting', id)
  end
end
local function line_up_created()
  in_batches(ready_ids, 'LPUSH', wait_key)
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function create_as(id, data, terms)
  local delay_ms, priority, ttl_ms = string.match(terms, '^(%d+) (-?%d+) (%d+)$')
  create(id, data, tonumber(delay_ms or '0'), tonumber(priority or '0'), tonumber(ttl_ms or '0'), false, {})
end
local function create_with_terms(first, short, long)
  local short_models, long_models, none = {}, {}, {}
  local taken = nil
  for i = first, #ARGV, 3 do
    local id, data, terms = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local job_key = prefix .. id
    local models = #data <= short and short_models or #data <= long and long_models or none
    local copies = models[terms] and redis.pcall('COPY', models[terms], job_key)
    if copies == 0 or copies ~= 1 and redis.call('EXISTS', job_key) == 1 then
      taken = taken or {}
      taken[i] = resend ~= '1' or redis.call('HGET', job_key, 'data') ~= data
    elseif copies == 1 then
      redis.call('HSET', job_key, 'data', data)
      create_as(id, false, terms)
    else
      create_as(id, data, terms)
      models[terms] = models ~= none and job_key or nil
    end
  end
  line_up_created()
  return taken
end
made = { in_batches = in_batches, push_ready = push_ready, push_new = push_new, wake_now = wake_now, wake_at = wake_at, more_fields = more_fields, create = create, line_up_created = line_up_created, create_as = create_as, create_with_terms = create_with_terms }
return made
end
local WIDTH = 2
local taken = nil
if has_terms == '1' then
  WIDTH = 3
  taken = others().create_with_terms(JOBS, SHORT, LONG)
else
  local call, attempt = redis.call, redis.pcall
  local ids = {}
  local count = 0
  local short_model, long_model = nil, nil
  for i = JOBS, #ARGV, WIDTH do
    local id, data = ARGV[i], ARGV[i + 1]
    local job_key = prefix .. id
    local size = #data
    local model = size <= SHORT and short_model or size <= LONG and long_model
    local copies = model and attempt('COPY', model, job_key)
    if copies == 0 or copies ~= 1 and call('EXISTS', job_key) == 1 then
      taken = taken or {}
      taken[i] = resend ~= '1' or call('HGET', job_key, 'data') ~= data
    else
      if copies == 1 then
        call('HSET', job_key, 'data', data)
      else
        call('HSET', job_key, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
          'state', 'waiting', 'priority', '0', 'data', data)
        if size <= SHORT then
          short_model = job_key
        elseif size <= LONG then
          long_model = job_key
        end
      end
      if count == 0 then
        emit('waiting', id)
      else
        attempt('XADD', events_key, '*', 'event', 'waiting', 'jobId', id)
      end
      count = count + 1
      ids[count] = id
    end
  end
  if count > 0 then
    if count <= 1000 then
      call('LPUSH', wait_key, unpack(ids))
    else
      others().in_batches(ids, 'LPUSH', wait_key)
    end
    call('ZADD', marker_key, '0', '0')
  end
end
local flags = {}
if taken then
  for i = JOBS, #ARGV, WIDTH do
    flags[#flags + 1] = taken[i] and 0 or 1
  end
end
return flags
""",
)


def enqueue(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    version: int,
    max_attempts: int,
    resend: bool,
    has_terms: bool,
    jobs: Sequence[Arg],
) -> Call[list[int]]:
    """enqueue: (none) -> waiting | delayed

    `jobs` is flat: (job_id, data, and if so, terms: empty, or 'delay_ms priority ttl_ms') repeated.
    """
    return Call(
        script=ENQUEUE,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, version, max_attempts, "1" if resend else "0", "1" if has_terms else "0", *jobs),
    )


ENQUEUE_CONTROLLED = Script(
    name="enqueue_controlled",
    sha="90d41cb872759a7cb0c946f3a008bbaa283f7b37",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local marker_key = KEYS[4]
local events_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local resend = ARGV[4]
local JOBS = 5
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local NEWER = prefix .. 'parked:newer'
local ready_ids = {}
local any_ready = false
local earliest_due = nil
local function more_fields(extra, delay_ms, ttl_ms)
  local fields = { unpack(extra) }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  return fields
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    if not earliest_due or due < earliest_due then
      earliest_due = due
    end
    emit('delayed', id)
  else
    if priority > 0 or lifo then
      push_new(id, priority, now_ms, lifo)
    else
      ready_ids[#ready_ids + 1] = id
    end
    any_ready = true
    emit('waiting', id)
  end
end
local function line_up_created()
  in_batches(ready_ids, 'LPUSH', wait_key)
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local REMEMBER_MS = 60000
local function remember(id, answer)
  redis.call('SET', prefix .. 'sent:' .. id, answer, 'PX', REMEMBER_MS)
end
local function recall(id)
  return redis.call('GET', prefix .. 'sent:' .. id)
end
local TAKEN, CREATED, THROTTLED, DUPLICATE, UPDATED = 0, 1, 2, 3, 4
local function admit(job)
  create(job.id, job.data, job.delay_ms, job.priority, job.ttl_ms, job.lifo, job.extra)
  return { CREATED, job.id }
end
local function dedup_key_of(job)
  return prefix .. 'dedup:' .. job.control_key
end
local function owner_of(dedup_key)
  local owner = redis.call('GET', dedup_key)
  return owner, owner and redis.call('HGET', prefix .. owner, 'state')
end
local function admit_owner(job, dedup_key)
  redis.call('SET', dedup_key, job.id)
  job.extra[#job.extra + 1] = 'dedupKey'
  job.extra[#job.extra + 1] = dedup_key
  return admit(job)
end
local function deduplicate(job)
  local dedup_key = dedup_key_of(job)
  local owner, state = owner_of(dedup_key)
  if owner and state and string.find(job.states, ' ' .. state .. ' ', 1, true) then
    return { DUPLICATE, owner }
  end
  return admit_owner(job, dedup_key)
end
local function deduplicate_for(job)
  local dedup_key = dedup_key_of(job)
  local owner = redis.call('GET', dedup_key)
  if owner then
    return { DUPLICATE, owner }
  end
  redis.call('SET', dedup_key, job.id, 'PX', ms_text(job.period_ms))
  return admit(job)
end
local function give_payload(job, owner)
  redis.call('HSET', prefix .. owner, 'data', job.data, '_v', version, 'py:carries', job.id)
  if job.ttl_ms > 0 then
    redis.call('HSET', prefix .. owner, 'expireAt', ms_text(now_ms + job.ttl_ms))
  else
    redis.call('HDEL', prefix .. owner, 'expireAt')
  end
  remember(job.id, owner)
  return { UPDATED, owner }
end
local function keep_latest(job)
  local dedup_key = dedup_key_of(job)
  local owner_then = resend == '1' and recall(job.id)
  if owner_then then
    return { UPDATED, owner_then }
  end
  local owner, state = owner_of(dedup_key)
  if state == 'waiting' or state == 'delayed' then
    return give_payload(job, owner)
  end
  return admit_owner(job, dedup_key)
end
local WIDTH = 13
local function is_pending(id)
  return id and fields_of(prefix .. id, 'state')[1] == 'delayed' and redis.call('ZREM', delayed_key, id) == 1
end
local function debounce(job)
  if resend == '1' and recall(job.id) then
    return { CREATED, job.id }
  end
  local pending_key = prefix .. 'debounce:' .. job.control_key
  local pending = redis.call('GET', pending_key)
  if is_pending(pending) then
    redis.call('DEL', prefix .. pending, prefix .. pending .. ':logs')
    redis.call('ZREM', NEWER, pending)
    remember(pending, job.id)
    emit('debounced', pending, 'replacedBy', job.id)
  end
  job.delay_ms = job.period_ms
  redis.call('SET', pending_key, job.id, 'PX', ms_text(math.max(1, 2 * job.period_ms)))
  return admit(job)
end
local function throttle(job)
  local counter = prefix .. 'throttle:' .. job.control_key
  local accepted = tonumber(redis.call('GET', counter) or '0') or 0
  if accepted >= job.amount then
    return { THROTTLED, job.id }
  end
  if accepted == 0 then
    redis.call('SET', counter, '1', 'PX', ms_text(job.period_ms))
  else
    redis.call('INCR', counter)
  end
  return admit(job)
end
local CONTROLS = {
  debounce = debounce,
  throttle = throttle,
  deduplicate = deduplicate,
  deduplicate_for = deduplicate_for,
  keep_latest = keep_latest,
}
local function read_job(i)
  local job = {
    id = ARGV[i], data = ARGV[i + 1], delay_ms = tonumber(ARGV[i + 2]), priority = tonumber(ARGV[i + 3]),
    ttl_ms = tonumber(ARGV[i + 4]), lifo = ARGV[i + 5] == '1', control = ARGV[i + 8], control_key = ARGV[i + 9],
    amount = tonumber(ARGV[i + 10]), period_ms = tonumber(ARGV[i + 11]), states = ARGV[i + 12], extra = {},
  }
  if ARGV[i + 6] ~= '' then
    job.extra = { 'concurrencyKey', ARGV[i + 6], 'concurrencyLimit', ARGV[i + 7] }
    if ARGV[i + 7] == '0' then
      job.extra = { 'concurrencyKey', ARGV[i + 6], 'concurrencyLimit', '1', 'py:defaultLimit', '1' }
    end
  end
  return job
end
local function is_ours(job)
  local fields = fields_of(prefix .. job.id, 'data', 'py:carries')
  return resend == '1' and (fields[1] == job.data or (fields[2] and true))
end
local replies = {}
for i = JOBS, #ARGV, WIDTH do
  local job = read_job(i)
  local control = CONTROLS[job.control]
  if redis.call('EXISTS', prefix .. job.id) == 1 then
    replies[#replies + 1] = { is_ours(job) and CREATED or TAKEN, job.id }
  elseif control then
    replies[#replies + 1] = control(job)
  else
    replies[#replies + 1] = admit(job)
  end
end
line_up_created()
return replies
""",
)


def enqueue_controlled(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    version: int,
    max_attempts: int,
    resend: bool,
    jobs: Sequence[Arg],
) -> Call[list[list[bytes | int]]]:
    """enqueue_controlled: (none) -> waiting | delayed;  delayed -> (none), replaced

    `jobs` is flat: (job_id, data, delay_ms, priority, ttl_ms, lifo, concurrency_key, concurrency_limit, control, control_key, amount, period_ms, states) repeated.
    """
    return Call(
        script=ENQUEUE_CONTROLLED,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, version, max_attempts, "1" if resend else "0", *jobs),
    )


ENQUEUE_STEPS = Script(
    name="enqueue_steps",
    sha="de2e9553b5b3b6602140e8436f84049df4372d87",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local marker_key = KEYS[4]
local events_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local STEPS = 4
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local ready_ids = {}
local any_ready = false
local earliest_due = nil
local function more_fields(extra, delay_ms, ttl_ms)
  local fields = { unpack(extra) }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  return fields
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    if not earliest_due or due < earliest_due then
      earliest_due = due
    end
    emit('delayed', id)
  else
    if priority > 0 or lifo then
      push_new(id, priority, now_ms, lifo)
    else
      ready_ids[#ready_ids + 1] = id
    end
    any_ready = true
    emit('waiting', id)
  end
end
local function line_up_created()
  in_batches(ready_ids, 'LPUSH', wait_key)
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local flags = {}
for i = STEPS, #ARGV, 4 do
  local id = ARGV[i + 2]
  local is_free = redis.call('EXISTS', prefix .. id) == 0
  if is_free then
    create(id, ARGV[i + 3], 0, 0, 0, false, { '_wf', ARGV[i], '_wfNode', ARGV[i + 1] })
  end
  flags[#flags + 1] = is_free and 1 or 0
end
line_up_created()
return flags
""",
)


def enqueue_steps(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    version: int,
    max_attempts: int,
    steps: Sequence[Arg],
) -> Call[list[int]]:
    """enqueue_steps: (none) -> waiting

    `steps` is flat: (workflow_id, step, job_id, data) repeated.
    """
    return Call(
        script=ENQUEUE_STEPS,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, version, max_attempts, *steps),
    )


EXCHANGE = Script(
    name="exchange",
    sha="27d30069e69ed78870035ace1f40cd1f81bf7321",
    text="""\
local prefix = KEYS[1]
local wait_key = prefix .. 'wait'
local prioritized_key = prefix .. 'prioritized'
local active_key = prefix .. 'active'
local delayed_key = prefix .. 'delayed'
local completed_key = prefix .. 'completed'
local stalled_key = prefix .. 'stalled'
local marker_key = prefix .. 'marker'
local events_key = prefix .. 'events'
local given_now_ms = ARGV[1]
local token = ARGV[2]
local lease_ms = ARGV[3]
local slots = tonumber(ARGV[4])
local on_expire = ARGV[5]
local resend = ARGV[6]
local max_version = tonumber(ARGV[7])
local limits = ARGV[8]
local OUTCOMES = 9
if tonumber(lease_ms) < 1 then
  return redis.error_reply('ERR lease_ms must be at least 1')
end
local others
local seldom
local moved_delayed = false
local paced_until = nil
local leaving = {}
local completed = {}
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local function looked_up(names, command, key)
  local BATCH = 1000
  local found = {}
  for first = 1, #names, BATCH do
    local last = math.min(first + BATCH - 1, #names)
    local values = key and redis.call(command, key, unpack(names, first, last))
      or redis.call(command, unpack(names, first, last))
    if #names <= BATCH then
      return values
    end
    for i = 1, #values do
      found[#found + 1] = values[i]
    end
  end
  return found
end
local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local minute = string.format('%d0000', math.floor(now_ms / 60000) * 6)
  local counter = prefix .. 'metrics:' .. result .. ':' .. minute
  local counted = amount == 1 and redis.call('INCR', counter) or redis.call('INCRBY', counter, amount)
  if counted == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
local HEAD = 4
local reply = { now_ms, -1, '', '' }
local links = nil
local started = {}
local function start(id, job_key, fields, told, before)
  redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  if before then
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now, 'py:before', before)
  else
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  end
  emit('active', id, 'attempt', fields[3] or '0')
  started[#started + 1] = id
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] =
    id, fields[1] or '', fields[2] or '0', told, fields[4] or '0'
end
local function try_start(id)
  local PLAIN_FIELDS = 7
  local job_key = prefix .. id
  if limits == '' and redis.pcall('HLEN', job_key) == PLAIN_FIELDS then
    local fields = redis.call('HMGET', job_key, 'data', '_v', 'attempt', 'ts', 'state', 'priority', 'maxAttempts')
    if fields[1] and fields[2] and fields[3] == '1' and fields[4] and fields[5] == 'waiting' and fields[6] and fields[7]
      and (tonumber(fields[2]) or 0) <= max_version then
      return start(id, job_key, fields, '')
    end
  end
  others().try_start_other(id, job_key)
end
local function claim_from(source, slots)
  local tries = slots + 1000
  while #started < slots and tries > 0 do
    local count = math.min(slots - #started, tries)
    count = count == 1 and '1' or count
    local ids
    if source == prioritized_key then
      ids = others().pop_prioritized(count)
    else
      ids = redis.call('RPOP', source, count)
    end
    if not ids then
      return
    end
    tries = tries - #ids
    for i = 1, #ids do
      try_start(ids[i])
    end
  end
end
local made
function others()
if made then
return made
end
local prefix = KEYS[1]
local token = ARGV[2]
local lease_ms = ARGV[3]
local resend = ARGV[6]
local max_version = tonumber(ARGV[7])
local limits = ARGV[8]
local prioritized_key = prefix .. 'prioritized'
local active_key = prefix .. 'active'
local stalled_key = prefix .. 'stalled'
local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = '0', '1', '2', '3'
local GONE = {}
local function read_ending(ending)
  local kind, delay_ms, token = string.match(ending, '^(%l*) ?(%d*)%+(.*)$')
  return kind == '' and 'completed' or kind, delay_ms, token
end
local function judge(ending, id, holder)
  local kind, _, token = read_ending(ending)
  if leaving[id] or holder ~= token then
    return resend == '1' and REPEATED or LOST
  end
  local fields = fields_of(prefix .. id, 'attempt', 'cancelledAt', 'state', 'concurrencyKey', 'dedupKey', '_wf')
  if not fields[3] then
    return LOST, GONE
  end
  if fields[2] and (kind == 'retrying' or kind == 'released' or kind == 'declined') then
    return CANCEL_REQUESTED
  end
  return SETTLED, fields
end
local function remove_running(id, running)
  local SHORT_SEARCH = 128
  local is_among_oldest = running <= SHORT_SEARCH
    or redis.call('LPOS', active_key, id, 'RANK', -1, 'MAXLEN', SHORT_SEARCH)
  redis.call('LREM', active_key, is_among_oldest and '-1' or '1', id)
end
local function correct_active(oldest)
  local staying = {}
  for i = #oldest, 1, -1 do
    if leaving[oldest[i]] == nil then
      staying[#staying + 1] = oldest[i]
    end
  end
  in_batches(staying, 'RPUSH', active_key)
  local running = redis.call('LLEN', active_key)
  for i = 1, #leaving do
    if leaving[leaving[i]] then
      remove_running(leaving[i], running)
    end
  end
end
local function settle(ending, id, payload, fields)
  local job_key = prefix .. id
  local kind, delay_ms, token = read_ending(ending)
  if fields[4] then
    seldom().give_slot_back(fields[4])
  end
  if kind ~= 'completed' then
    return seldom().end_without_result(kind, id, job_key, fields, payload, tonumber(delay_ms))
  end
  redis.call('HSET', job_key, 'state', 'completed', 'finishedOn', now, 'result', payload)
  completed[#completed + 1] = now
  completed[#completed + 1] = id
  if fields[5] or fields[6] then
    seldom().let_go(id, fields[5], fields[6], token)
  end
  emit('completed', id, 'attempt', fields[1] or '0')
end
local function add_link(id, workflow_id)
  links = links or {}
  local n = #links
  links[n + 1], links[n + 2] = (#reply - HEAD) / 5 - 1, workflow_id
  links[n + 3] = redis.call('HGET', prefix .. id, '_wfNode') or ''
end
local function attempt_of(fields)
  return fields[3] ~= '' and fields[3] or '0'
end
local function try_start_other(id, job_key)
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn')
  local asks_nothing = fields[8] == 'waiting' and limits == '' and not (fields[5] or fields[6] or fields[7])
    and (tonumber(fields[2] or '0') or 0) <= max_version
  if not (asks_nothing or seldom().may_start(id, job_key, fields)) then
    return
  end
  local expire_at, processed_on = fields[5], fields[10]
  local before = (expire_at or processed_on) and (processed_on or '') .. ',' .. (expire_at or '')
  start(id, job_key, fields, attempt_of(fields), before)
  if expire_at then
    redis.call('HDEL', job_key, 'expireAt')
  end
  if fields[9] then
    add_link(id, fields[9])
  end
end
local function pop_prioritized(count)
  local scored = redis.call('ZPOPMIN', prioritized_key, count)
  local ids = {}
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return #ids > 0 and ids or nil
end
local function reclaim_own()
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local job_key = prefix .. id
    if redis.call('GET', job_key .. ':lock') == token then
      redis.call('PEXPIRE', job_key .. ':lock', lease_ms)
      redis.call('SREM', stalled_key, id)
      local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', '_wf')
      for _, value in ipairs({ id, fields[1] or '', fields[2] or '0', attempt_of(fields), fields[4] or '0' }) do
        reply[#reply + 1] = value
      end
      if fields[5] then
        add_link(id, fields[5])
      end
    end
  end
end
made = { read_ending = read_ending, judge = judge, remove_running = remove_running, correct_active = correct_active, settle = settle, add_link = add_link, attempt_of = attempt_of, try_start_other = try_start_other, pop_prioritized = pop_prioritized, reclaim_own = reclaim_own }
return made
end
local made
function seldom()
if made then
return made
end
local prefix = KEYS[1]
local token = ARGV[2]
local slots = tonumber(ARGV[4])
local on_expire = ARGV[5]
local max_version = tonumber(ARGV[7])
local limits = ARGV[8]
local wait_key = prefix .. 'wait'
local prioritized_key = prefix .. 'prioritized'
local active_key = prefix .. 'active'
local delayed_key = prefix .. 'delayed'
local failed_key = prefix .. 'failed'
local cancelled_key = prefix .. 'cancelled'
local expired_key = prefix .. 'expired'
local marker_key = prefix .. 'marker'
local singleton, rate_max, rate_window_ms, key_limit, default_ttl_ms, rate_key =
  string.match(limits, '^([01]) (%d+) (%d+) (%d+) (%d+) (.*)$')
rate_max, rate_window_ms = tonumber(rate_max or '0'), tonumber(rate_window_ms or '0')
key_limit, default_ttl_ms = tonumber(key_limit or '0'), tonumber(default_ttl_ms or '0')
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and tonumber(held) or 0
end
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  local score = order_ms - priority * PRIORITY_WEIGHT
  local has_priority = priority > 0
  if not has_priority and was_freed then
    local first = redis.call('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  elseif not has_priority then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  if redis.call('ZADD', key, string.format('%.17g', score == score and score or 0), id) == 1 then
    redis.call('INCR', PARKED_COUNT)
  end
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if redis.call('ZREM', key, id) == 0 then
    return false
  end
  if redis.call('DECR', PARKED_COUNT) <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function free_next(concurrency_key)
  local id = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
  if not id or not unpark(id, concurrency_key) then
    return false
  end
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
  return true
end
local RECHECKED_KEYS = 3
local FREED_AT_ONCE = 100
local function limit_of(limit_text, is_default)
  if is_default and key_limit > 0 then
    return key_limit
  end
  return tonumber(limit_text or '0') or 0
end
local function next_keys()
  local keys, scored = redis.call('ZRANGE', PARKED_KEYS, 0, RECHECKED_KEYS - 1), {}
  if #keys > 0 then
    for i, concurrency_key in ipairs(keys) do
      scored[2 * i - 1], scored[2 * i] = now, concurrency_key
    end
    redis.call('ZREM', PARKED_KEYS, unpack(keys))
    redis.call('ZADD', PARKED_KEYS, unpack(scored))
  end
  return keys
end
local function recheck_parked()
  if redis.call('LLEN', FREED) > 0 then
    return
  end
  for _, concurrency_key in ipairs(next_keys()) do
    local first = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
    local fields = first and fields_of(prefix .. first, 'concurrencyLimit', 'py:defaultLimit') or {}
    local limit = limit_of(fields[1], fields[2])
    local free = limit > 0 and limit - slots_held(concurrency_key) or 1
    if not first then
      redis.call('ZREM', PARKED_KEYS, concurrency_key)
    end
    for _ = 1, math.min(free, FREED_AT_ONCE) do
      if not free_next(concurrency_key) then
        break
      end
    end
  end
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
end
local function release_concurrency(concurrency_key)
  if not concurrency_key or concurrency_key == '' then
    return false
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local left = redis.pcall('DECR', counter)
  if type(left) ~= 'number' or left <= 0 then
    redis.call('DEL', counter)
  end
  free_next(concurrency_key)
  return true
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local ended = { [failed_key] = {}, [cancelled_key] = {} }
local function let_go(id, dedup_key, workflow_id, settled_by)
  release_dedup(dedup_key, id)
  note_end(id, workflow_id)
  if workflow_id and settled_by then
    redis.call('HSET', prefix .. id, 'py:settledBy', settled_by)
  end
end
local function give_slot_back(concurrency_key)
  if release_concurrency(concurrency_key) then
    wake_now()
  end
end
local function retry_later(id, job_key, attempt, error_text, delay_ms)
  local next_attempt = string.format('%d', attempt + 1)
  local due = now_ms + delay_ms
  redis.call('HSET', job_key, 'state', 'retrying', 'attempt', next_attempt, 'error', error_text)
  redis.call('ZADD', delayed_key, ms_text(due), id)
  wake_at(due)
  emit('retrying', id, 'attempt', next_attempt, 'nextAttemptAt', ms_text(due), 'error', error_text)
end
local function undo_start(job_key)
  local before = fields_of(job_key, 'py:before')[1] or ''
  local processed_on, expire_at = string.match(before, '^(%d*),(%d*)$')
  redis.call('HDEL', job_key, 'processedOn', 'py:before')
  if (processed_on or '') ~= '' then
    redis.call('HSET', job_key, 'processedOn', processed_on)
  end
  if (expire_at or '') ~= '' then
    redis.call('HSET', job_key, 'expireAt', expire_at)
  end
end
local function give_back(id, job_key, delay_ms, is_unseen)
  if delay_ms > 0 then
    redis.call('HSET', job_key, 'state', 'delayed')
    redis.call('ZADD', delayed_key, ms_text(now_ms + delay_ms), id)
    wake_at(now_ms + delay_ms)
  else
    local fields = fields_of(job_key, 'priority', 'ts')
    local priority = tonumber(fields[1] or '0') or 0
    redis.call('HSET', job_key, 'state', 'waiting')
    push_new(id, priority, tonumber(fields[2] or now) or now_ms, is_unseen and not (priority > 0))
    wake_now()
    emit('waiting', id)
  end
end
local function finish(id, job_key, state, set_key, fields, ...)
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now, ...)
  local entries = ended[set_key]
  entries[#entries + 1] = now
  entries[#entries + 1] = id
  let_go(id, fields[5], fields[6])
end
local function end_without_result(kind, id, job_key, fields, payload, delay_ms)
  local attempt = tonumber(fields[1] or '0') or 0
  if kind == 'retrying' then
    retry_later(id, job_key, attempt, payload, delay_ms)
  elseif kind == 'failed' then
    finish(id, job_key, 'failed', failed_key, fields, 'error', payload)
    emit('failed', id, 'attempt', string.format('%d', attempt), 'error', payload)
  elseif kind == 'cancelled' then
    finish(id, job_key, 'cancelled', cancelled_key, fields)
    emit('cancelled', id, 'reason', fields_of(job_key, 'cancelReason')[1] or '')
  else
    local is_unseen = kind == 'declined'
    if is_unseen then
      undo_start(job_key)
    end
    give_back(id, job_key, delay_ms, is_unseen)
  end
end
local function flush_setbacks()
  for set_key, entries in pairs(ended) do
    in_batches(entries, 'ZADD', set_key)
  end
  count_finished('failed', #ended[failed_key] / 2)
end
local function collect_keys(collect_key)
  local base = prefix .. 'collect:' .. collect_key
  return base .. ':items', base .. ':meta', base .. ':job'
end
local function take_items(collect_key)
  local items_key, meta_key, pending_key = collect_keys(collect_key)
  local items = redis.call('LRANGE', items_key, 0, -1)
  redis.call('DEL', items_key, meta_key, pending_key)
  if #items == 0 then
    return nil
  end
  return '[' .. table.concat(items, ',') .. ']'
end
local function drain(id, job_key, fields)
  local collect_key = fields[7]
  if not collect_key then
    return true
  end
  local payload = take_items(collect_key)
  if not payload then
    redis.call('DEL', job_key)
    release_concurrency(fields[6])
    return false
  end
  fields[1] = payload
  redis.call('HSET', job_key, 'data', payload)
  redis.call('HDEL', job_key, 'collectKey')
  return true
end
local REMAINS_MS = 600000
local function is_expired(job_key, expire_at, ts)
  local deadline = tonumber(expire_at or '')
  if deadline and deadline > 0 then
    return now_ms >= deadline
  end
  local dispatched = default_ttl_ms > 0 and tonumber(ts or '')
  if not dispatched or now_ms < dispatched + default_ttl_ms then
    return false
  end
  local exempt = redis.call('HMGET', job_key, 'processedOn', 'collectKey')
  return not exempt[1] and not exempt[2]
end
local function discard(id, job_key)
  local remains = prefix .. 'gone:' .. id
  redis.call('DEL', job_key, job_key .. ':logs')
  redis.call('HSET', remains, 'state', 'expired', 'finishedOn', now)
  redis.call('PEXPIRE', remains, REMAINS_MS)
end
local function expire(id, job_key, dedup_key)
  local workflow_id = fields_of(job_key, '_wf')[1]
  release_dedup(dedup_key, id)
  if on_expire == 'discard' and not workflow_id then
    discard(id, job_key)
  else
    redis.call('HSET', job_key, 'state', 'expired', 'finishedOn', now)
    redis.call('ZADD', expired_key, now, id)
    note_end(id, workflow_id)
  end
  emit('expired', id)
end
local NEWER_PARK_MS = 30000
local ENDED = { completed = true, failed = true, cancelled = true, expired = true }
local freed_and_blocked = nil
local function takes_slot(concurrency_key, limit)
  if limit <= 0 then
    return true
  end
  local used = slots_held(concurrency_key)
  if used >= limit then
    return false
  end
  redis.call('SET', prefix .. 'conc:' .. concurrency_key, string.format('%d', used + 1))
  return true
end
local function leave_for_newer(id, job_key, job_version)
  redis.call('HSET', job_key, 'state', 'delayed')
  redis.call('ZADD', delayed_key, ms_text(now_ms + NEWER_PARK_MS), id)
  redis.call('ZADD', NEWER, job_version, id)
  moved_delayed = true
end
local function pass_on(concurrency_key, key_fields)
  if key_fields and slots_held(concurrency_key) < limit_of(key_fields[1], key_fields[2]) then
    free_next(concurrency_key)
  end
end
local function key_fields_of(job_key, concurrency_key)
  if concurrency_key and concurrency_key ~= '' then
    return fields_of(job_key, 'concurrencyLimit', 'py:defaultLimit', 'priority')
  end
  return nil
end
local function may_start(id, job_key, fields)
  local job_version = tonumber(fields[2] or '0') or 0
  local key_fields = key_fields_of(job_key, fields[6])
  if not fields[1] and not fields[2] then
    return false
  end
  if ENDED[fields[8]] then
    pass_on(fields[6], key_fields)
  elseif is_expired(job_key, fields[5], fields[4]) then
    expire(id, job_key, fields_of(job_key, 'dedupKey')[1])
    pass_on(fields[6], key_fields)
  elseif job_version > max_version then
    leave_for_newer(id, job_key, job_version)
    pass_on(fields[6], key_fields)
  elseif key_fields and not takes_slot(fields[6], limit_of(key_fields[1], key_fields[2])) then
    local place = { id, fields[6], tonumber(key_fields[3] or '0') or 0, tonumber(fields[4] or now) or now_ms }
    if freed_and_blocked then
      freed_and_blocked[#freed_and_blocked + 1] = place
    else
      park(unpack(place))
    end
  else
    return drain(id, job_key, fields)
  end
  return false
end
local function claim_freed(slots)
  freed_and_blocked = {}
  claim_from(FREED, slots)
  for i = #freed_and_blocked, 1, -1 do
    local id, concurrency_key, priority, order_ms = unpack(freed_and_blocked[i])
    park(id, concurrency_key, priority, order_ms, true)
  end
  freed_and_blocked = nil
end
local PROMOTE_LIMIT = 100
local function promote_due()
  local due = redis.call('ZRANGE', delayed_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  redis.call('ZREM', delayed_key, unpack(due))
  redis.call('ZREM', NEWER, unpack(due))
  for _, id in ipairs(due) do
    local job_key = prefix .. id
    local fields = fields_of(job_key, 'expireAt', 'priority', 'ts', '_v', 'dedupKey')
    if is_expired(job_key, fields[1], fields[3]) then
      expire(id, job_key, fields[5])
    elseif fields[4] or fields[3] then
      redis.call('HSET', job_key, 'state', 'waiting')
      push_ready(id, tonumber(fields[2] or '0') or 0, tonumber(fields[3] or now) or now_ms)
      emit('promoted', id)
    end
  end
end
local function take_newer()
  local ids = redis.call('ZRANGE', NEWER, '-inf', max_version, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  if #ids == 0 then
    return
  end
  redis.call('ZREM', NEWER, unpack(ids))
  for _, id in ipairs(ids) do
    if redis.call('ZREM', delayed_key, id) == 1 then
      local fields = fields_of(prefix .. id, 'priority', 'ts')
      redis.call('HSET', prefix .. id, 'state', 'waiting')
      push_ready(id, tonumber(fields[1] or '0') or 0, tonumber(fields[2] or now) or now_ms)
    end
  end
end
local function anything_runs()
  for _, id in ipairs(redis.call('LRANGE', active_key, 0, -1)) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 1 then
      return true
    end
  end
  return false
end
local RATE = prefix .. 'rate:' .. (rate_key or '')
local function paced(slots)
  if singleton == '1' then
    slots = math.min(slots, 1)
    if slots > 0 and anything_runs() then
      paced_until = now_ms + 1000
      return 0
    end
  end
  if rate_max > 0 and slots > 0 then
    redis.call('ZREMRANGEBYSCORE', RATE, '-inf', ms_text(now_ms - rate_window_ms))
    slots = math.min(slots, rate_max - redis.call('ZCARD', RATE))
    if slots <= 0 then
      paced_until = tonumber(redis.call('ZRANGE', RATE, 0, 0, 'WITHSCORES')[2]) + rate_window_ms
      redis.call('SET', prefix .. 'parked:until', ms_text(paced_until), 'PX', ms_text(math.max(1, paced_until - now_ms)))
      return 0
    end
  end
  return slots
end
local function count_starts()
  if rate_max == 0 or #started == 0 then
    return
  end
  for i = 1, #started do
    redis.call('ZADD', RATE, now, token .. ':' .. started[i])
  end
  redis.call('PEXPIRE', RATE, rate_window_ms)
end
made = { push_ready = push_ready, push_new = push_new, wake_now = wake_now, wake_at = wake_at, parked_key = parked_key, slots_held = slots_held, park = park, unpark = unpark, free_next = free_next, limit_of = limit_of, next_keys = next_keys, recheck_parked = recheck_parked, release_dedup = release_dedup, release_concurrency = release_concurrency, note_end = note_end, let_go = let_go, give_slot_back = give_slot_back, retry_later = retry_later, undo_start = undo_start, give_back = give_back, finish = finish, end_without_result = end_without_result, flush_setbacks = flush_setbacks, collect_keys = collect_keys, take_items = take_items, drain = drain, is_expired = is_expired, discard = discard, expire = expire, takes_slot = takes_slot, leave_for_newer = leave_for_newer, pass_on = pass_on, key_fields_of = key_fields_of, may_start = may_start, claim_freed = claim_freed, promote_due = promote_due, take_newer = take_newer, anything_runs = anything_runs, paced = paced, count_starts = count_starts }
return made
end
local statuses = {}
if #ARGV >= OUTCOMES then
  local SETTLED, PLAIN, PLAIN_FIELDS = '1', {}, 8
  local lock_keys, records, settled_locks = {}, {}, {}
  for i = OUTCOMES, #ARGV, 3 do
    lock_keys[#lock_keys + 1] = prefix .. ARGV[i + 1] .. ':lock'
  end
  local holders = looked_up(lock_keys, 'MGET')
  for n = 1, #holders do
    local i = OUTCOMES + 3 * (n - 1)
    local id, holder, status, record = ARGV[i + 1], holders[n], SETTLED, PLAIN
    local is_plain = holder and ARGV[i] == '+' .. holder and not leaving[id]
      and redis.pcall('HLEN', prefix .. id) == PLAIN_FIELDS
    if not is_plain then
      status, record = others().judge(ARGV[i], id, holder)
    end
    statuses[n], records[n] = status, record
    if record then
      leaving[id] = true
      leaving[#leaving + 1] = id
      settled_locks[#settled_locks + 1] = lock_keys[n]
    end
  end
  if #leaving > 0 then
    local oldest, found = redis.call('RPOP', active_key, #leaving == 1 and '1' or #leaving) or {}, 0
    for i = 1, #oldest do
      if leaving[oldest[i]] then
        leaving[oldest[i]] = false
        found = found + 1
      end
    end
    if found < #leaving then
      others().correct_active(oldest)
    end
    for n = 1, #holders do
      local i = OUTCOMES + 3 * (n - 1)
      if records[n] == PLAIN then
        redis.call('HSET', prefix .. ARGV[i + 1], 'state', 'completed', 'finishedOn', now, 'result', ARGV[i + 2])
        completed[#completed + 1] = now
        completed[#completed + 1] = ARGV[i + 1]
        emit('completed', ARGV[i + 1], 'attempt', '1')
      elseif records[n] and statuses[n] == SETTLED then
        others().settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], records[n])
      end
    end
    in_batches(settled_locks, 'DEL')
    in_batches(leaving, 'SREM', stalled_key)
    in_batches(completed, 'ZADD', completed_key)
    count_finished('completed', #completed / 2)
    if #completed < 2 * #leaving then
      seldom().flush_setbacks()
    end
  end
end
local is_simple = redis.call('EXISTS', delayed_key, prioritized_key, FREED, PARKED_KEYS, NEWER) == 0
local parks = false
local first_due = {}
if not is_simple then
  first_due = redis.call('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
  if first_due[2] and tonumber(first_due[2]) <= now_ms then
    seldom().promote_due()
    moved_delayed = true
  end
  parks = redis.call('EXISTS', FREED, PARKED_KEYS, NEWER) > 0
  if parks then
    seldom().take_newer()
    seldom().recheck_parked()
  end
end
if resend == '1' then
  others().reclaim_own()
  slots = slots - (#reply - HEAD) / 5
end
if limits ~= '' then
  slots = seldom().paced(slots)
end
if not is_simple then
  claim_from(prioritized_key, slots)
end
if parks then
  seldom().claim_freed(slots)
end
claim_from(wait_key, slots)
in_batches(started, 'LPUSH', active_key)
if limits ~= '' then
  seldom().count_starts()
end
if parks or moved_delayed then
  first_due = redis.call('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
end
local due_ms = first_due[2] and tonumber(first_due[2]) or -1
if redis.call('EXISTS', wait_key, prioritized_key, FREED) > 0 then
  redis.call('ZADD', marker_key, paced_until and ms_text(paced_until) or '0', '0')
elseif due_ms >= 0 then
  redis.call('ZADD', marker_key, ms_text(due_ms), '0')
end
reply[2], reply[3], reply[4] = due_ms, table.concat(statuses), links or ''
return reply
""",
)


def exchange(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    token: str,
    lease_ms: int,
    slots: int,
    on_expire: str,
    resend: bool,
    max_version: int,
    limits: str,
    outcomes: Sequence[Arg],
) -> Call[ExchangeReply]:
    """exchange: active -> completed | retrying | failed | cancelled | waiting | delayed

    `outcomes` is flat: (ending, job_id, payload) repeated.
    """
    return Call(
        script=EXCHANGE,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, token, lease_ms, slots, on_expire, "1" if resend else "0", max_version, limits, *outcomes),
    )


EXTEND_LEASES = Script(
    name="extend_leases",
    sha="4ef0fcda88e95f0cb7cd8bb8751fd756f8480fe7",
    text="""\
local stalled_key = KEYS[1]
local prefix = KEYS[2]
local lease_ms = ARGV[1]
local LEASES = 2
local states = {}
for i = LEASES, #ARGV, 2 do
  local job_key = prefix .. ARGV[i]
  local lock_key = job_key .. ':lock'
  local state = 0
  if redis.call('GET', lock_key) == ARGV[i + 1] then
    redis.call('PEXPIRE', lock_key, lease_ms)
    redis.call('SREM', stalled_key, ARGV[i])
    state = redis.call('HEXISTS', job_key, 'cancelledAt') == 1 and -1 or 1
  end
  states[#states + 1] = state
end
return states
""",
)


def extend_leases(
    *,
    keys: TaskKeys,
    lease_ms: int,
    leases: Sequence[Arg],
) -> Call[list[int]]:
    """extend_leases: active -> active

    `leases` is flat: (job_id, token) repeated.
    """
    return Call(
        script=EXTEND_LEASES,
        keys=(keys.stalled_key, keys.prefix),
        args=(lease_ms, *leases),
    )


FILE_WORKFLOW = Script(
    name="file_workflow",
    sha="38f86abec6f1ff38edc241a1b270fdcaa79297a5",
    text="""\
local running_workflows_key = KEYS[1]
local ended_workflows_key = KEYS[2]
local workflow_tries_key = KEYS[3]
local given_now_ms = ARGV[1]
local workflow_id = ARGV[2]
local listed = ARGV[3]
local keep_ms = tonumber(ARGV[4])
local max_items = tonumber(ARGV[5])
local look_at_ms = ARGV[6]
local ended_try = tonumber(ARGV[7])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
if look_at_ms ~= '' and redis.call('ZSCORE', running_workflows_key, workflow_id) ~= look_at_ms then
  return 0
end
local announced = tonumber(redis.call('HGET', workflow_tries_key, workflow_id) or '0') or 0
if ended_try >= 0 and announced > ended_try then
  return 0
end
if announced > 0 then
  redis.call('HDEL', workflow_tries_key, workflow_id)
end
redis.call('ZREM', running_workflows_key, workflow_id)
if listed == '1' then
  redis.call('ZADD', ended_workflows_key, 'NX', now, workflow_id)
end
redis.call('ZREMRANGEBYSCORE', ended_workflows_key, '-inf', ms_text(now_ms - keep_ms))
redis.call('ZREMRANGEBYRANK', ended_workflows_key, 0, -max_items - 1)
return 1
""",
)


def file_workflow(
    *,
    running_workflows_key: str,
    ended_workflows_key: str,
    workflow_tries_key: str,
    now_ms: int | None,
    workflow_id: str,
    listed: bool,
    keep_ms: int,
    max_items: int,
    look_at_ms: str,
    ended_try: int,
) -> Call[int]:
    """file_workflow: index of running workflows -> index of ended ones"""
    return Call(
        script=FILE_WORKFLOW,
        keys=(running_workflows_key, ended_workflows_key, workflow_tries_key),
        args=("" if now_ms is None else now_ms, workflow_id, "1" if listed else "0", keep_ms, max_items, look_at_ms, ended_try),
    )


FORGET_UNTOLD = Script(
    name="forget_untold",
    sha="3e45108f763275a4853ce1f36b43b7ba90a7a74a",
    text="""\
local prefix = KEYS[1]
local JOB_IDS = 1
local forgotten = 0
for i = JOB_IDS, #ARGV do
  forgotten = forgotten + redis.call('ZREM', prefix .. 'workflow:untold', ARGV[i])
end
return forgotten
""",
)


def forget_untold(
    *,
    keys: TaskKeys,
    job_ids: Sequence[Arg],
) -> Call[int]:
    """forget_untold: notes of ended jobs of workflows

    `job_ids` is flat: (job_id) repeated.
    """
    return Call(
        script=FORGET_UNTOLD,
        keys=(keys.prefix,),
        args=(*job_ids,),
    )


HANDSHAKE = Script(
    name="handshake",
    sha="5c85f685fd28dc1e9649ba8afd47965a851919ef",
    text="""\
local meta_key = KEYS[1]
local given_now_ms = ARGV[1]
local wire_version = ARGV[2]
local min_compat = ARGV[3]
local written_by = ARGV[4]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
if redis.call('EXISTS', meta_key) == 0 then
  redis.call('HSET', meta_key, 'wireVersion', wire_version, 'minCompat', min_compat, 'writtenBy', written_by,
    'writtenAt', now)
end
local stored = fields_of(meta_key, 'wireVersion', 'minCompat', 'writtenBy', 'writtenAt')
for i = 1, 4 do
  stored[i] = stored[i] or ''
end
return stored
""",
)


def handshake(
    *,
    meta_key: str,
    now_ms: int | None,
    wire_version: int,
    min_compat: int,
    written_by: str,
) -> Call[list[bytes]]:
    """handshake: meta record (none) -> written"""
    return Call(
        script=HANDSHAKE,
        keys=(meta_key,),
        args=("" if now_ms is None else now_ms, wire_version, min_compat, written_by),
    )


LAST_EVENT = Script(
    name="last_event",
    sha="4ed43cb6f9335fcb3d0806bbaf6818a0594202d6",
    text="""\
local events_key = KEYS[1]
local newest = redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
""",
)


def last_event(
    *,
    keys: TaskKeys,
) -> Call[bytes]:
    """last_event: reads only"""
    return Call(
        script=LAST_EVENT,
        keys=(keys.events_key,),
        args=(),
    )


LEAD = Script(
    name="lead",
    sha="3fb291161a10446f2194dfc630165b3fe3a81525",
    text="""\
local schedules_lock_key = KEYS[1]
local token = ARGV[1]
local ttl_ms = ARGV[2]
local leader = redis.call('GET', schedules_lock_key)
if leader and leader ~= token then
  return 0
end
redis.call('SET', schedules_lock_key, token, 'PX', ttl_ms)
return 1
""",
)


def lead(
    *,
    schedules_lock_key: str,
    token: str,
    ttl_ms: int,
) -> Call[int]:
    """lead: nobody | this scheduler -> this scheduler"""
    return Call(
        script=LEAD,
        keys=(schedules_lock_key,),
        args=(token, ttl_ms),
    )


LIST_JOBS = Script(
    name="list_jobs",
    sha="a2586e6c7832de5c60bc5fca4e31bfd53644ee25",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local active_key = KEYS[3]
local delayed_key = KEYS[4]
local finished_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local state = ARGV[2]
local offset = tonumber(ARGV[3])
local limit = tonumber(ARGV[4])
local after = tonumber(ARGV[5])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local NEWER = prefix .. 'parked:newer'
local function anything_runs()
  for _, id in ipairs(redis.call('LRANGE', active_key, 0, -1)) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 1 then
      return true
    end
  end
  return false
end
local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000
local WORKER_BEATS = prefix .. 'workers:beats'
local WORKERS_ABOUT = prefix .. 'workers:about'
local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end
local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
local served = nil
local function is_served()
  if served == nil then
    served = live_workers() > 0 or anything_runs()
  end
  return served
end
local function reason_of(id, state, concurrency_key)
  if state == 'waiting' then
    if concurrency_key and redis.call('ZSCORE', prefix .. 'parked:key:' .. concurrency_key, id) then
      return 'saturated'
    end
    return is_served() and '' or 'unserved'
  end
  if state == 'delayed' or state == 'retrying' then
    if redis.call('ZSCORE', NEWER, id) then
      return 'newer'
    end
    local due = tonumber(redis.call('ZSCORE', delayed_key, id) or '')
    return due and due <= now_ms and not is_served() and 'unserved' or ''
  end
  return ''
end
local function reason_of_record(id, record)
  local state, concurrency_key
  for i = 1, #record, 2 do
    if record[i] == 'state' then
      state = record[i + 1]
    elseif record[i] == 'concurrencyKey' then
      concurrency_key = record[i + 1]
    end
  end
  return reason_of(id, state, concurrency_key)
end
local PAGE = 1000
local LOOKED_AT_ONCE = 5000
local function newest_last(list_key, first, count)
  local ids = {}
  if count > 0 then
    local slice = redis.call('LRANGE', list_key, -(first + count), -(first + 1))
    for i = #slice, 1, -1 do
      ids[#ids + 1] = slice[i]
    end
  end
  return ids
end
local function add_page(ids, seen, size, read)
  local first = math.max(offset - seen, 0)
  if #ids < limit and first < size then
    for _, id in ipairs(read(first, math.min(limit - #ids, size - first))) do
      ids[#ids + 1] = id
    end
  end
  return seen + size
end
local function zset_page(key)
  return function(first, count)
    return redis.call('ZRANGE', key, first, first + count - 1)
  end
end
local function list_page(key)
  return function(first, count)
    return newest_last(key, first, count)
  end
end
local function waiting_ids()
  local ids = {}
  local freed = prefix .. 'parked:freed'
  local seen = add_page(ids, 0, redis.call('ZCARD', prioritized_key), zset_page(prioritized_key))
  seen = add_page(ids, seen, redis.call('LLEN', freed), list_page(freed))
  seen = add_page(ids, seen, redis.call('LLEN', wait_key), list_page(wait_key))
  for _, concurrency_key in ipairs(redis.call('ZRANGE', prefix .. 'parked:keys', 0, -1)) do
    if #ids == limit then
      break
    end
    local key = prefix .. 'parked:key:' .. concurrency_key
    seen = add_page(ids, seen, redis.call('ZCARD', key), zset_page(key))
  end
  return ids
end
local function delayed_ids()
  local ids, skipped = {}, 0
  for first = after, after + LOOKED_AT_ONCE - 1, PAGE do
    local page = redis.call('ZRANGE', delayed_key, first, first + PAGE - 1)
    for _, id in ipairs(page) do
      if redis.call('HGET', prefix .. id, 'state') ~= state then
      elseif skipped < offset then
        skipped = skipped + 1
      else
        ids[#ids + 1] = id
        if #ids == limit then
          return ids, {}
        end
      end
    end
    if #page < PAGE then
      return ids, {}
    end
  end
  return ids, { after + LOOKED_AT_ONCE, skipped }
end
local ids
local rest = {}
if limit < 1 then
  ids = {}
elseif state == 'waiting' then
  ids = waiting_ids()
elseif state == 'active' then
  ids = newest_last(active_key, offset, limit)
elseif state == 'delayed' or state == 'retrying' then
  ids, rest = delayed_ids()
else
  ids = redis.call('ZRANGE', finished_key, offset, offset + limit - 1, 'REV')
end
local rows = {}
for _, id in ipairs(ids) do
  local row = redis.call('HGETALL', prefix .. id)
  if #row > 0 then
    local reason = reason_of_record(id, row)
    table.insert(row, 1, id)
    table.insert(row, 2, reason)
    rows[#rows + 1] = row
  end
end
return { rows, rest }
""",
)


def list_jobs(
    *,
    keys: TaskKeys,
    finished_key: str,
    now_ms: int | None,
    state: str,
    offset: int,
    limit: int,
    after: int,
) -> Call[tuple[list[list[bytes]], list[int]]]:
    """list_jobs: reads only"""
    return Call(
        script=LIST_JOBS,
        keys=(keys.wait_key, keys.prioritized_key, keys.active_key, keys.delayed_key, finished_key, keys.prefix),
        args=("" if now_ms is None else now_ms, state, offset, limit, after),
    )


LIST_WORKFLOWS = Script(
    name="list_workflows",
    sha="c8d4a13cf5418f74789a1304b34d362dd14be888",
    text="""\
local workflows_key = KEYS[1]
local newest_first = ARGV[1]
local offset = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
if limit <= 0 then
  return {}
end
local command = newest_first == '1' and 'ZREVRANGE' or 'ZRANGE'
return redis.call(command, workflows_key, offset, offset + limit - 1)
""",
)


def list_workflows(
    *,
    workflows_key: str,
    newest_first: bool,
    offset: int,
    limit: int,
) -> Call[list[bytes]]:
    """list_workflows: reads only"""
    return Call(
        script=LIST_WORKFLOWS,
        keys=(workflows_key,),
        args=("1" if newest_first else "0", offset, limit),
    )


POSTPONE_UNTOLD = Script(
    name="postpone_untold",
    sha="fe6fcf1d75485c81d3d6143a7c6f197337becfbc",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local shortest_ms = tonumber(ARGV[2])
local longest_ms = tonumber(ARGV[3])
local give_up_ms = tonumber(ARGV[4])
local JOB_IDS = 5
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local given_up = {}
for i = JOB_IDS, #ARGV do
  local id = ARGV[i]
  if redis.call('ZSCORE', UNTOLD, id) then
    local ended_ms = tonumber(fields_of(prefix .. id, 'finishedOn')[1] or '')
    local age_ms = ended_ms and now_ms - ended_ms
    if not age_ms then
      redis.call('ZREM', UNTOLD, id)
    elseif give_up_ms >= 0 and age_ms >= give_up_ms then
      redis.call('ZREM', UNTOLD, id)
      given_up[#given_up + 1] = id
    else
      local pause_ms = math.min(math.max(math.floor(age_ms / 4), shortest_ms), longest_ms)
      redis.call('ZADD', UNTOLD, ms_text(now_ms + pause_ms), id)
    end
  end
end
return given_up
""",
)


def postpone_untold(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    shortest_ms: int,
    longest_ms: int,
    give_up_ms: int,
    job_ids: Sequence[Arg],
) -> Call[list[bytes]]:
    """postpone_untold: notes of ended jobs of workflows

    `job_ids` is flat: (job_id) repeated.
    """
    return Call(
        script=POSTPONE_UNTOLD,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, shortest_ms, longest_ms, give_up_ms, *job_ids),
    )


PRUNE = Script(
    name="prune",
    sha="8524ce658be22c478c92030ec303eee28dde0a49",
    text="""\
local finished_key = KEYS[1]
local prefix = KEYS[2]
local given_now_ms = ARGV[1]
local max_age_ms = tonumber(ARGV[2])
local max_items = tonumber(ARGV[3])
local spared_ms = tonumber(ARGV[4])
local limit = tonumber(ARGV[5])
local cursor = tonumber(ARGV[6])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local function count_due()
  local due = 0
  if max_age_ms >= 0 then
    due = redis.call('ZCOUNT', finished_key, '-inf', ms_text(now_ms - max_age_ms))
  end
  if max_items >= 0 then
    due = math.max(due, redis.call('ZCARD', finished_key) - max_items)
  end
  return math.min(due, redis.call('ZCOUNT', finished_key, '-inf', ms_text(now_ms - spared_ms)))
end
local due = count_due()
local last = math.min(due, cursor + limit) - 1
local ids = cursor <= last and redis.call('ZRANGE', finished_key, cursor, last) or {}
local all_told = #ids == 0 or redis.call('EXISTS', UNTOLD) == 0
local removed = 0
for _, id in ipairs(ids) do
  if all_told or not redis.call('ZSCORE', UNTOLD, id) then
    local job_key = prefix .. id
    redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
    redis.call('ZREM', finished_key, id)
    removed = removed + 1
  end
end
local has_more = #ids > 0 and last < due - 1
return { removed, has_more and cursor + #ids - removed or -1 }
""",
)


def prune(
    *,
    keys: TaskKeys,
    finished_key: str,
    now_ms: int | None,
    max_age_ms: int,
    max_items: int,
    spared_ms: int,
    limit: int,
    cursor: int,
) -> Call[tuple[int, int]]:
    """prune: completed | failed | cancelled | expired -> (none)"""
    return Call(
        script=PRUNE,
        keys=(finished_key, keys.prefix),
        args=("" if now_ms is None else now_ms, max_age_ms, max_items, spared_ms, limit, cursor),
    )


PUSH_COLLECT = Script(
    name="push_collect",
    sha="be65f8a2b185cce6f90da2081cf4e23a21b2801e",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local delayed_key = KEYS[3]
local marker_key = KEYS[4]
local events_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local resend = ARGV[4]
local job_id = ARGV[5]
local collect_key = ARGV[6]
local item = ARGV[7]
local collect_ms = tonumber(ARGV[8])
local max_size = tonumber(ARGV[9])
local max_wait_ms = tonumber(ARGV[10])
local max_items = tonumber(ARGV[11])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local NEWER = prefix .. 'parked:newer'
local function collect_keys(collect_key)
  local base = prefix .. 'collect:' .. collect_key
  return base .. ':items', base .. ':meta', base .. ':job'
end
local function take_items(collect_key)
  local items_key, meta_key, pending_key = collect_keys(collect_key)
  local items = redis.call('LRANGE', items_key, 0, -1)
  redis.call('DEL', items_key, meta_key, pending_key)
  if #items == 0 then
    return nil
  end
  return '[' .. table.concat(items, ',') .. ']'
end
local REMEMBER_MS = 60000
local function remember(id, answer)
  redis.call('SET', prefix .. 'sent:' .. id, answer, 'PX', REMEMBER_MS)
end
local function recall(id)
  return redis.call('GET', prefix .. 'sent:' .. id)
end
local function is_due(id)
  local fields = id and fields_of(prefix .. id, 'collectKey', 'state') or {}
  return fields[1] and fields[2] == 'waiting'
end
local items_key, meta_key, pending_key = collect_keys(collect_key)
local pending = redis.call('GET', pending_key)
if redis.call('EXISTS', prefix .. job_id) == 1 or (resend == '1' and recall(job_id)) then
  return { 3, tonumber(redis.call('HGET', meta_key, 'count') or '0') }
end
if redis.call('LLEN', items_key) >= max_items then
  return { 2, max_items }
end
redis.call('RPUSH', items_key, item)
local count = redis.call('HINCRBY', meta_key, 'count', 1)
redis.call('HSETNX', meta_key, 'firstAt', now)
redis.call('HSET', meta_key, 'lastAt', now)
remember(job_id, '1')
local is_full = max_size > 0 and count >= max_size
local waits = pending and redis.call('ZREM', delayed_key, pending) == 1
if waits then
  redis.call('DEL', prefix .. pending)
  redis.call('ZREM', NEWER, pending)
elseif is_due(pending) and not is_full then
  return { 0, count }
end
local record = { 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts }
if is_full then
  redis.call('HSET', prefix .. job_id, 'state', 'waiting', 'priority', '0', 'data', take_items(collect_key),
    unpack(record))
  push_ready(job_id, 0, now_ms)
  wake_now()
  emit('waiting', job_id)
  return { 1, count }
end
local due = now_ms + collect_ms
if max_wait_ms > 0 then
  due = math.min(due, tonumber(redis.call('HGET', meta_key, 'firstAt')) + max_wait_ms)
end
redis.call('HSET', prefix .. job_id, 'state', 'delayed', 'collectKey', collect_key, 'data', '[]', unpack(record))
redis.call('ZADD', delayed_key, ms_text(due), job_id)
wake_at(due)
redis.call('SET', pending_key, job_id, 'PX', ms_text(math.max(1, 2 * math.max(collect_ms, max_wait_ms))))
emit('collect', job_id, 'count', string.format('%d', count), 'key', collect_key)
return { 0, count }
""",
)


def push_collect(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    version: int,
    max_attempts: int,
    resend: bool,
    job_id: str,
    collect_key: str,
    item: bytes,
    collect_ms: int,
    max_size: int,
    max_wait_ms: int,
    max_items: int,
) -> Call[list[int]]:
    """push_collect: (none) -> delayed | waiting, as a batch"""
    return Call(
        script=PUSH_COLLECT,
        keys=(keys.wait_key, keys.prioritized_key, keys.delayed_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, version, max_attempts, "1" if resend else "0", job_id, collect_key, item, collect_ms, max_size, max_wait_ms, max_items),
    )


READ_COLLECT = Script(
    name="read_collect",
    sha="0831eac4c79ca237d1e877bc73247967f3fdeaca",
    text="""\
local prefix = KEYS[1]
local collect_key = ARGV[1]
local function collect_keys(collect_key)
  local base = prefix .. 'collect:' .. collect_key
  return base .. ':items', base .. ':meta', base .. ':job'
end
local function take_items(collect_key)
  local items_key, meta_key, pending_key = collect_keys(collect_key)
  local items = redis.call('LRANGE', items_key, 0, -1)
  redis.call('DEL', items_key, meta_key, pending_key)
  if #items == 0 then
    return nil
  end
  return '[' .. table.concat(items, ',') .. ']'
end
local items_key, meta_key = collect_keys(collect_key)
return { redis.call('LRANGE', items_key, 0, -1), redis.call('HMGET', meta_key, 'count', 'firstAt', 'lastAt') }
""",
)


def read_collect(
    *,
    keys: TaskKeys,
    collect_key: str,
) -> Call[tuple[list[bytes], list[bytes | None]]]:
    """read_collect: reads only"""
    return Call(
        script=READ_COLLECT,
        keys=(keys.prefix,),
        args=(collect_key,),
    )


READ_DUE = Script(
    name="read_due",
    sha="ab71da0a3c16016c23e10d768e9745cf08ed0604",
    text="""\
local schedules_next_key = KEYS[1]
local given_now_ms = ARGV[1]
local NAMES = 2
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local found = {}
for i = NAMES, #ARGV do
  found[#found + 1] = ARGV[i]
  found[#found + 1] = redis.call('ZSCORE', schedules_next_key, ARGV[i]) or ''
end
local earliest = redis.call('ZRANGE', schedules_next_key, 0, 0, 'WITHSCORES')
return { now_ms, earliest[2] or '', found }
""",
)


def read_due(
    *,
    schedules_next_key: str,
    now_ms: int | None,
    names: Sequence[Arg],
) -> Call[tuple[int, bytes, list[bytes]]]:
    """read_due: reads only

    `names` is flat: (name) repeated.
    """
    return Call(
        script=READ_DUE,
        keys=(schedules_next_key,),
        args=("" if now_ms is None else now_ms, *names),
    )


READ_FIELDS = Script(
    name="read_fields",
    sha="43b06e35a42644dd664e89e3d5615e238bfdb9ce",
    text="""\
local prefix = KEYS[1]
local fields = ARGV[1]
local JOB_IDS = 2
local names = {}
for name in string.gmatch(fields, '%S+') do
  names[#names + 1] = name
end
local rows = {}
for i = JOB_IDS, #ARGV do
  local row = redis.call('HMGET', prefix .. ARGV[i], unpack(names))
  if not row[1] then
    local remains = redis.call('HMGET', prefix .. 'gone:' .. ARGV[i], unpack(names))
    row = remains[1] and remains or row
  end
  rows[#rows + 1] = row
end
return rows
""",
)


def read_fields(
    *,
    keys: TaskKeys,
    fields: str,
    job_ids: Sequence[Arg],
) -> Call[list[list[bytes | None]]]:
    """read_fields: reads only

    `job_ids` is flat: (job_id) repeated.
    """
    return Call(
        script=READ_FIELDS,
        keys=(keys.prefix,),
        args=(fields, *job_ids),
    )


READ_JOB = Script(
    name="read_job",
    sha="32920116d508a1fd1ac83de99d0212a9b227ff20",
    text="""\
local active_key = KEYS[1]
local delayed_key = KEYS[2]
local prefix = KEYS[3]
local given_now_ms = ARGV[1]
local job_id = ARGV[2]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local NEWER = prefix .. 'parked:newer'
local function anything_runs()
  for _, id in ipairs(redis.call('LRANGE', active_key, 0, -1)) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 1 then
      return true
    end
  end
  return false
end
local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000
local WORKER_BEATS = prefix .. 'workers:beats'
local WORKERS_ABOUT = prefix .. 'workers:about'
local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end
local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
local served = nil
local function is_served()
  if served == nil then
    served = live_workers() > 0 or anything_runs()
  end
  return served
end
local function reason_of(id, state, concurrency_key)
  if state == 'waiting' then
    if concurrency_key and redis.call('ZSCORE', prefix .. 'parked:key:' .. concurrency_key, id) then
      return 'saturated'
    end
    return is_served() and '' or 'unserved'
  end
  if state == 'delayed' or state == 'retrying' then
    if redis.call('ZSCORE', NEWER, id) then
      return 'newer'
    end
    local due = tonumber(redis.call('ZSCORE', delayed_key, id) or '')
    return due and due <= now_ms and not is_served() and 'unserved' or ''
  end
  return ''
end
local function reason_of_record(id, record)
  local state, concurrency_key
  for i = 1, #record, 2 do
    if record[i] == 'state' then
      state = record[i + 1]
    elseif record[i] == 'concurrencyKey' then
      concurrency_key = record[i + 1]
    end
  end
  return reason_of(id, state, concurrency_key)
end
local job_key = prefix .. job_id
local record = redis.call('HGETALL', job_key)
return { record, redis.call('LRANGE', job_key .. ':logs', 0, -1), reason_of_record(job_id, record) }
""",
)


def read_job(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    job_id: str,
) -> Call[tuple[list[bytes], list[bytes], bytes]]:
    """read_job: reads only"""
    return Call(
        script=READ_JOB,
        keys=(keys.active_key, keys.delayed_key, keys.prefix),
        args=("" if now_ms is None else now_ms, job_id),
    )


READ_LOGS = Script(
    name="read_logs",
    sha="d792c0db743009c15abc5edf0ed5b346545f18f9",
    text="""\
local prefix = KEYS[1]
local job_id = ARGV[1]
return redis.call('LRANGE', prefix .. job_id .. ':logs', 0, -1)
""",
)


def read_logs(
    *,
    keys: TaskKeys,
    job_id: str,
) -> Call[list[bytes]]:
    """read_logs: reads only"""
    return Call(
        script=READ_LOGS,
        keys=(keys.prefix,),
        args=(job_id,),
    )


READ_MIGRATION_LOCK = Script(
    name="read_migration_lock",
    sha="4cec12ac8797b063b83b48c9e7b3787ce7ecff30",
    text="""\
local migration_lock_key = KEYS[1]
return redis.call('GET', migration_lock_key) or ''
""",
)


def read_migration_lock(
    *,
    migration_lock_key: str,
) -> Call[bytes]:
    """read_migration_lock: reads only"""
    return Call(
        script=READ_MIGRATION_LOCK,
        keys=(migration_lock_key,),
        args=(),
    )


READ_SCHEDULES = Script(
    name="read_schedules",
    sha="e14a9165bb440f93de043f98d74efa58c1c6d174",
    text="""\
local schedules_key = KEYS[1]
local NAMES = 1
local found = {}
for i = NAMES, #ARGV do
  found[#found + 1] = ARGV[i]
  found[#found + 1] = redis.call('HGET', schedules_key, ARGV[i]) or ''
end
return found
""",
)


def read_schedules(
    *,
    schedules_key: str,
    names: Sequence[Arg],
) -> Call[list[bytes]]:
    """read_schedules: reads only

    `names` is flat: (name) repeated.
    """
    return Call(
        script=READ_SCHEDULES,
        keys=(schedules_key,),
        args=(*names,),
    )


READ_UNTOLD = Script(
    name="read_untold",
    sha="83029bd49a494f1ac91ad963649dfc2a12fdcf40",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local min_age_ms = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', UNTOLD, '-inf', ms_text(now_ms - min_age_ms), 'BYSCORE', 'LIMIT', 0, limit)) do
  local row = fields_of(prefix .. id, '_wf', '_wfNode', 'state', 'result', 'error', 'cancelReason',
    'py:settledBy')
  for i = 1, 7 do
    row[i] = row[i] or ''
  end
  table.insert(row, 1, id)
  rows[#rows + 1] = row
end
return rows
""",
)


def read_untold(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    min_age_ms: int,
    limit: int,
) -> Call[list[list[bytes | None]]]:
    """read_untold: reads only"""
    return Call(
        script=READ_UNTOLD,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, min_age_ms, limit),
    )


READ_WORKERS = Script(
    name="read_workers",
    sha="af51d9b0aec3fd7e6e0f5d05e2c4f61ce9087be6",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000
local WORKER_BEATS = prefix .. 'workers:beats'
local WORKERS_ABOUT = prefix .. 'workers:about'
local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end
local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', WORKER_BEATS, oldest_beat(), '+inf', 'BYSCORE')) do
  local beat = ms_text(tonumber(redis.call('ZSCORE', WORKER_BEATS, id)))
  rows[#rows + 1] = { id, beat, redis.call('HGET', WORKERS_ABOUT, id) or '' }
end
return rows
""",
)


def read_workers(
    *,
    keys: TaskKeys,
    now_ms: int | None,
) -> Call[list[list[bytes]]]:
    """read_workers: reads only"""
    return Call(
        script=READ_WORKERS,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms,),
    )


READ_WORKFLOW = Script(
    name="read_workflow",
    sha="94b790e52f855f05f5bb26e67acd66fedf293843",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local FIELDS = 2
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
if #ARGV < FIELDS then
  return { now_ms, redis.call('HGETALL', workflow_key) }
end
local values = {}
for i = FIELDS, #ARGV do
  values[#values + 1] = redis.call('HGET', workflow_key, ARGV[i])
end
return { now_ms, values }
""",
)


def read_workflow(
    *,
    workflow_key: str,
    now_ms: int | None,
    fields: Sequence[Arg],
) -> Call[tuple[int, list[bytes | None]]]:
    """read_workflow: reads only

    `fields` is flat: (name) repeated.
    """
    return Call(
        script=READ_WORKFLOW,
        keys=(workflow_key,),
        args=("" if now_ms is None else now_ms, *fields),
    )


RECOVER_STALLED = Script(
    name="recover_stalled",
    sha="1df09b3eb922f9ad3ee6eca89e0ba76d3ec536d0",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local active_key = KEYS[3]
local failed_key = KEYS[4]
local cancelled_key = KEYS[5]
local stalled_key = KEYS[6]
local marker_key = KEYS[7]
local events_key = KEYS[8]
local prefix = KEYS[9]
local given_now_ms = ARGV[1]
local max_count = tonumber(ARGV[2])
local cursor = tonumber(ARGV[3])
local count_every_ms = tonumber(ARGV[4])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
local function looked_up(names, command, key)
  local BATCH = 1000
  local found = {}
  for first = 1, #names, BATCH do
    local last = math.min(first + BATCH - 1, #names)
    local values = key and redis.call(command, key, unpack(names, first, last))
      or redis.call(command, unpack(names, first, last))
    if #names <= BATCH then
      return values
    end
    for i = 1, #values do
      found[#found + 1] = values[i]
    end
  end
  return found
end
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and tonumber(held) or 0
end
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  local score = order_ms - priority * PRIORITY_WEIGHT
  local has_priority = priority > 0
  if not has_priority and was_freed then
    local first = redis.call('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  elseif not has_priority then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  if redis.call('ZADD', key, string.format('%.17g', score == score and score or 0), id) == 1 then
    redis.call('INCR', PARKED_COUNT)
  end
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if redis.call('ZREM', key, id) == 0 then
    return false
  end
  if redis.call('DECR', PARKED_COUNT) <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function free_next(concurrency_key)
  local id = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
  if not id or not unpark(id, concurrency_key) then
    return false
  end
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
  return true
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
end
local function release_concurrency(concurrency_key)
  if not concurrency_key or concurrency_key == '' then
    return false
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local left = redis.pcall('DECR', counter)
  if type(left) ~= 'number' or left <= 0 then
    redis.call('DEL', counter)
  end
  free_next(concurrency_key)
  return true
end
local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local minute = string.format('%d0000', math.floor(now_ms / 60000) * 6)
  local counter = prefix .. 'metrics:' .. result .. ':' .. minute
  local counted = amount == 1 and redis.call('INCR', counter) or redis.call('INCRBY', counter, amount)
  if counted == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local ERROR_TEXT = 'Job stalled and exceeded max stalled count'
local recovered, failed, cancelled = {}, {}, {}
local function finish(id, job_key, state, set_key, fields)
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now)
  redis.call('ZADD', set_key, now, id)
  release_dedup(fields[3], id)
  note_end(id, fields[9])
end
local function fail(id, job_key, fields, count)
  finish(id, job_key, 'failed', failed_key, fields)
  redis.call('HSET', job_key, 'error', ERROR_TEXT)
  emit('stalled', id, 'count', count, 'action', 'failed')
  emit('failed', id, 'attempt', fields[6] or '0', 'error', ERROR_TEXT)
  failed[#failed + 1] = id
end
local function requeue(id, job_key, fields, count)
  redis.call('HSET', job_key, 'state', 'waiting')
  push_ready(id, tonumber(fields[4] or '0') or 0, tonumber(fields[5] or now) or now_ms)
  wake_now()
  emit('stalled', id, 'count', count, 'action', 'recovered')
  recovered[#recovered + 1] = id
end
local function recover(id)
  local job_key = prefix .. id
  redis.call('LREM', active_key, -1, id)
  redis.call('SREM', stalled_key, id)
  local fields = fields_of(job_key, 'cancelledAt', 'concurrencyKey', 'dedupKey', 'priority', 'ts',
    'attempt', 'cancelReason', 'state', '_wf')
  if not fields[8] then
    return
  end
  if release_concurrency(fields[2]) then
    wake_now()
  end
  if fields[1] then
    finish(id, job_key, 'cancelled', cancelled_key, fields)
    emit('cancelled', id, 'reason', fields[7] or '')
    cancelled[#cancelled + 1] = id
    return
  end
  local count = redis.pcall('HINCRBY', job_key, 'stalledCount', 1)
  if type(count) ~= 'number' then
    count = 1
    redis.call('HSET', job_key, 'stalledCount', '1')
  end
  if count > max_count then
    fail(id, job_key, fields, tostring(count))
  else
    requeue(id, job_key, fields, tostring(count))
  end
end
local function without_lease(ids)
  local lock_keys, found, is_known = {}, {}, {}
  for i, id in ipairs(ids) do
    lock_keys[i] = prefix .. id .. ':lock'
  end
  local leases = looked_up(lock_keys, 'MGET')
  for i = #ids, 1, -1 do
    if not leases[i] and not is_known[ids[i]] then
      is_known[ids[i]] = true
      found[#found + 1] = ids[i]
    end
  end
  return found
end
local function abandoned()
  local found = {}
  if redis.call('EXISTS', stalled_key) == 0 then
    return found
  end
  local ids = without_lease(redis.call('LRANGE', active_key, 0, -1))
  local candidates = looked_up(ids, 'SMISMEMBER', stalled_key)
  for i, id in ipairs(ids) do
    if candidates[i] == 1 then
      found[#found + 1] = id
    end
  end
  return found
end
local PAGE = 500
local LEARNT = prefix .. 'parked:learnt'
local LEARNT_MS = 60000
local function learn_keys(ids)
  local pairs_of = {}
  for _, id in ipairs(ids) do
    pairs_of[#pairs_of + 1] = id
    pairs_of[#pairs_of + 1] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  in_batches(pairs_of, 'HSET', LEARNT)
  redis.call('PEXPIRE', LEARNT, LEARNT_MS)
end
local function learnt_keys(ids)
  return looked_up(ids, 'HMGET', LEARNT)
end
local function keys_of_active(active)
  local keys, unknown, places = learnt_keys(active), {}, {}
  for i, id in ipairs(active) do
    if not keys[i] and #unknown < PAGE then
      unknown[#unknown + 1] = id
      places[#places + 1] = i
    elseif not keys[i] then
      learn_keys(unknown)
      return nil
    end
  end
  for i, id in ipairs(unknown) do
    keys[places[i]] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  return keys
end
local PARKED_AT_ONCE = 2000
local COUNTED = prefix .. 'parked:counted'
local function was_counted_lately()
  local counted_ms = count_every_ms > 0 and tonumber(redis.call('GET', COUNTED) or '')
  return counted_ms and counted_ms <= now_ms and now_ms < counted_ms + count_every_ms
end
local function keys_in_use(active_keys)
  local keys, held = {}, {}
  local function add(key, count)
    if not held[key] then
      keys[#keys + 1] = key
      held[key] = 0
    end
    held[key] = held[key] + count
  end
  for i = #active_keys, 1, -1 do
    if active_keys[i] ~= '' then
      add(active_keys[i], 1)
    end
  end
  local parked = redis.call('ZRANGE', PARKED_KEYS, 0, PARKED_AT_ONCE - 1)
  for _, key in ipairs(parked) do
    add(key, 0)
    if #parked == PARKED_AT_ONCE then
      redis.call('ZADD', PARKED_KEYS, 'XX', now, key)
    end
  end
  return keys, held
end
local function counters_of(keys)
  local counters = {}
  for i, key in ipairs(keys) do
    counters[i] = prefix .. 'conc:' .. key
  end
  return looked_up(counters, 'MGET')
end
local function recount(active_keys)
  local keys, held = keys_in_use(active_keys)
  local counters = counters_of(keys)
  for i, key in ipairs(keys) do
    local counted = tonumber(counters[i] or '') or 0
    if counted ~= held[key] and held[key] == 0 then
      redis.call('DEL', prefix .. 'conc:' .. key)
    elseif counted ~= held[key] then
      redis.call('SET', prefix .. 'conc:' .. key, string.format('%d', held[key]))
    end
    if (held[key] < counted or held[key] == 0) and free_next(key) then
      wake_now()
    end
  end
  if count_every_ms > 0 then
    redis.call('SET', COUNTED, now, 'PX', ms_text(count_every_ms))
  end
end
local RECOVERED_AT_ONCE = 500
local function recover_some()
  local found = abandoned()
  for i = 1, math.min(#found, RECOVERED_AT_ONCE) do
    recover(found[i])
  end
  return #found > RECOVERED_AT_ONCE
end
local function make_candidates(active)
  redis.call('DEL', stalled_key)
  in_batches(active, 'SADD', stalled_key)
end
local function recount_from(page_start)
  local length = redis.call('LLEN', active_key)
  if length > PAGE and page_start < length then
    local last = -page_start - 1
    learn_keys(redis.call('LRANGE', active_key, last - PAGE + 1, last))
    return page_start + PAGE
  end
  local active = redis.call('LRANGE', active_key, 0, -1)
  local active_keys = keys_of_active(active)
  if not active_keys then
    return page_start
  end
  recount(active_keys)
  redis.call('DEL', LEARNT)
  make_candidates(active)
  return nil
end
local has_more = cursor == 0 and recover_some()
count_finished('failed', #failed)
local next_cursor = nil
if has_more then
  next_cursor = 0
elseif was_counted_lately() then
  make_candidates(redis.call('LRANGE', active_key, 0, -1))
else
  if cursor == 0 then
    redis.call('DEL', LEARNT)
  end
  next_cursor = recount_from(cursor)
end
return { recovered, failed, cancelled, { next_cursor and string.format('%d', next_cursor) } }
""",
)


def recover_stalled(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    max_count: int,
    cursor: int,
    count_every_ms: int,
) -> Call[list[list[bytes]]]:
    """recover_stalled: active -> waiting | failed | cancelled"""
    return Call(
        script=RECOVER_STALLED,
        keys=(keys.wait_key, keys.prioritized_key, keys.active_key, keys.failed_key, keys.cancelled_key, keys.stalled_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, max_count, cursor, count_every_ms),
    )


REMEMBER_WORKFLOW = Script(
    name="remember_workflow",
    sha="d6547dd58871588263ce449f1ec12455f9ff713a",
    text="""\
local running_workflows_key = KEYS[1]
local ended_workflows_key = KEYS[2]
local workflow_tries_key = KEYS[3]
local given_now_ms = ARGV[1]
local workflow_id = ARGV[2]
local look_ms = tonumber(ARGV[3])
local announced_try = tonumber(ARGV[4])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local look_at_ms = now_ms + look_ms
redis.call('ZADD', running_workflows_key, ms_text(look_at_ms + look_at_ms % 2), workflow_id)
redis.call('ZREM', ended_workflows_key, workflow_id)
if announced_try > 0 and announced_try > (tonumber(redis.call('HGET', workflow_tries_key, workflow_id) or '0') or 0) then
  redis.call('HSET', workflow_tries_key, workflow_id, string.format('%d', announced_try))
end
return 1
""",
)


def remember_workflow(
    *,
    running_workflows_key: str,
    ended_workflows_key: str,
    workflow_tries_key: str,
    now_ms: int | None,
    workflow_id: str,
    look_ms: int,
    announced_try: int,
) -> Call[int]:
    """remember_workflow: index of running workflows"""
    return Call(
        script=REMEMBER_WORKFLOW,
        keys=(running_workflows_key, ended_workflows_key, workflow_tries_key),
        args=("" if now_ms is None else now_ms, workflow_id, look_ms, announced_try),
    )


REMOVE_FINISHED = Script(
    name="remove_finished",
    sha="43c53ff34809eafaaa6c5098f6e99c681d8d3411",
    text="""\
local finished_key = KEYS[1]
local prefix = KEYS[2]
local job_id = ARGV[1]
local request = ARGV[2]
local resend = ARGV[3]
local REMEMBER_MS = 60000
local function remember(id, answer)
  redis.call('SET', prefix .. 'sent:' .. id, answer, 'PX', REMEMBER_MS)
end
local function recall(id)
  return redis.call('GET', prefix .. 'sent:' .. id)
end
if resend == '1' and request ~= '' and recall(request) then
  return 1
end
if redis.call('ZREM', finished_key, job_id) == 0 then
  return 0
end
local job_key = prefix .. job_id
redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
if request ~= '' then
  remember(request, '1')
end
return 1
""",
)


def remove_finished(
    *,
    keys: TaskKeys,
    finished_key: str,
    job_id: str,
    request: str,
    resend: bool,
) -> Call[int]:
    """remove_finished: completed | failed | cancelled | expired -> (none)"""
    return Call(
        script=REMOVE_FINISHED,
        keys=(finished_key, keys.prefix),
        args=(job_id, request, "1" if resend else "0"),
    )


REPORT = Script(
    name="report",
    sha="86b219d6ffe72544c742ffb98524035fb4699959",
    text="""\
local events_key = KEYS[1]
local prefix = KEYS[2]
local ENTRIES = 1
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local LOG_LIMIT = 10000
local function write(kind, id, job_key, payload)
  if kind == 'progress' then
    redis.call('HSET', job_key, 'progress', payload)
    emit('progress', id, 'value', payload)
  else
    redis.call('RPUSH', job_key .. ':logs', payload)
    redis.call('LTRIM', job_key .. ':logs', -LOG_LIMIT, -1)
  end
end
local written = {}
for i = ENTRIES, #ARGV, 4 do
  local job_key = prefix .. ARGV[i + 1]
  local held = redis.call('GET', job_key .. ':lock') == ARGV[i + 2]
  if held then
    write(ARGV[i], ARGV[i + 1], job_key, ARGV[i + 3])
  end
  written[#written + 1] = held and 1 or 0
end
return written
""",
)


def report(
    *,
    keys: TaskKeys,
    entries: Sequence[Arg],
) -> Call[list[int]]:
    """report: active -> active, with progress and log entries

    `entries` is flat: (kind, job_id, token, payload) repeated.
    """
    return Call(
        script=REPORT,
        keys=(keys.events_key, keys.prefix),
        args=(*entries,),
    )


RESERVE_START = Script(
    name="reserve_start",
    sha="ad86a6afa5c53cd6a27ec34c0f4206f38b063724",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local rate_key = ARGV[2]
local start_id = ARGV[3]
local rate_max = tonumber(ARGV[4])
local rate_window_ms = tonumber(ARGV[5])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local starts = prefix .. 'rate:' .. rate_key
local reserved = redis.call('ZSCORE', starts, start_id)
if reserved then
  return math.max(0, tonumber(reserved) - now_ms)
end
redis.call('ZREMRANGEBYSCORE', starts, '-inf', ms_text(now_ms - rate_window_ms))
local start_ms = now_ms
local count = redis.call('ZCARD', starts)
if count >= rate_max then
  local leaving = redis.call('ZRANGE', starts, count - rate_max, count - rate_max, 'WITHSCORES')[2]
  start_ms = math.max(now_ms, tonumber(leaving) + rate_window_ms)
end
redis.call('ZADD', starts, ms_text(start_ms), start_id)
redis.call('PEXPIRE', starts, ms_text(start_ms - now_ms + rate_window_ms + 60000))
return start_ms - now_ms
""",
)


def reserve_start(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    rate_key: str,
    start_id: str,
    rate_max: int,
    rate_window_ms: int,
) -> Call[int]:
    """reserve_start: active -> active, with a place in a window of time"""
    return Call(
        script=RESERVE_START,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, rate_key, start_id, rate_max, rate_window_ms),
    )


RETRY_DEAD = Script(
    name="retry_dead",
    sha="b9beb46bbc593106c71b03d870f59f7ad904fd40",
    text="""\
local wait_key = KEYS[1]
local prioritized_key = KEYS[2]
local failed_key = KEYS[3]
local marker_key = KEYS[4]
local events_key = KEYS[5]
local prefix = KEYS[6]
local given_now_ms = ARGV[1]
local offset = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local workflow_try = tonumber(ARGV[4])
local request = ARGV[5]
local resend = ARGV[6]
local JOB_IDS = 7
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local PRIORITY_WEIGHT = 1e13
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    local score = order_ms - priority * PRIORITY_WEIGHT
    redis.call('ZADD', prioritized_key, string.format('%.17g', score == score and score or 0), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.call('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.call('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local REMEMBER_MS = 60000
local function remember(id, answer)
  redis.call('SET', prefix .. 'sent:' .. id, answer, 'PX', REMEMBER_MS)
end
local function recall(id)
  return redis.call('GET', prefix .. 'sent:' .. id)
end
local function words(text)
  local found = {}
  for word in string.gmatch(text, '[^ ]+') do
    found[#found + 1] = word
  end
  return found
end
local answered = resend == '1' and request ~= '' and recall(request)
if answered then
  local revived, steps = string.match(answered, '^(.*)|(.*)$')
  return { words(revived), words(steps) }
end
local ids = {}
if #ARGV < JOB_IDS then
  ids = redis.call('ZRANGE', failed_key, '-inf', '+inf', 'BYSCORE', 'LIMIT', offset, math.max(limit, 0))
else
  for i = JOB_IDS, #ARGV do
    ids[#ids + 1] = ARGV[i]
  end
end
local function is_due(lived_in)
  return workflow_try <= 0 or (tonumber(lived_in or '0') or 0) < workflow_try
end
local revived, steps = {}, {}
for _, id in ipairs(ids) do
  local job_key = prefix .. id
  local link, lived_in = unpack(redis.call('HMGET', job_key, '_wf', 'py:try'))
  if workflow_try < 0 and link and link ~= '' then
    if redis.call('ZSCORE', failed_key, id) then
      steps[#steps + 1] = id
    end
  elseif is_due(lived_in) and redis.call('ZREM', failed_key, id) == 1 and redis.call('EXISTS', job_key) == 1 then
    redis.call('HDEL', job_key, 'error', 'finishedOn', 'result', 'cancelledAt', 'cancelReason', 'stalledCount',
      'expireAt')
    redis.call('HSET', job_key, 'state', 'waiting', 'attempt', '1', 'ts', now)
    if workflow_try > 0 then
      redis.call('HSET', job_key, 'py:try', string.format('%d', workflow_try))
    end
    push_ready(id, tonumber(redis.call('HGET', job_key, 'priority') or '0') or 0, now_ms)
    emit('waiting', id)
    redis.call('ZREM', UNTOLD, id)
    revived[#revived + 1] = id
  end
end
if #revived > 0 then
  wake_now()
end
if request ~= '' then
  remember(request, table.concat(revived, ' ') .. '|' .. table.concat(steps, ' '))
end
return { revived, steps }
""",
)


def retry_dead(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    offset: int,
    limit: int,
    workflow_try: int,
    request: str,
    resend: bool,
    job_ids: Sequence[Arg],
) -> Call[tuple[list[bytes], list[bytes]]]:
    """retry_dead: failed -> waiting

    `job_ids` is flat: (job_id) repeated.
    """
    return Call(
        script=RETRY_DEAD,
        keys=(keys.wait_key, keys.prioritized_key, keys.failed_key, keys.marker_key, keys.events_key, keys.prefix),
        args=("" if now_ms is None else now_ms, offset, limit, workflow_try, request, "1" if resend else "0", *job_ids),
    )


REVISE_WORKFLOW = Script(
    name="revise_workflow",
    sha="6c02e2dad19f6ba3db8dd841e5d58941488c49f8",
    text="""\
local workflow_key = KEYS[1]
local seen_state = ARGV[1]
local graph_sha = ARGV[2]
local seen_try = tonumber(ARGV[3])
local open_steps = ARGV[4]
local graph = ARGV[5]
local forgotten = ARGV[6]
local mark_field = ARGV[7]
local mark = ARGV[8]
local resend = ARGV[9]
local FIELDS = 10
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local found = fields_of(workflow_key, 'state', 'graph', 'py:try', mark_field)
if resend == '1' and found[4] == mark then
  return 1
end
if (tonumber(found[3] or '0') or 0) ~= seen_try then
  return 0
end
if found[1] ~= seen_state or not found[2] or redis.sha1hex(found[2]) ~= graph_sha then
  return 0
end
for step in string.gmatch(open_steps, '%d+') do
  local state = redis.call('HGET', workflow_key, 'n:' .. step .. ':state')
  if state == 'completed' or redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1 then
    return 0
  end
end
for name in string.gmatch(forgotten, '%S+') do
  redis.call('HDEL', workflow_key, name)
end
redis.call('HSET', workflow_key, 'graph', graph, 'state', 'running', mark_field, mark)
for i = FIELDS, #ARGV, 2 do
  redis.call('HSET', workflow_key, ARGV[i], ARGV[i + 1])
end
redis.call('PERSIST', workflow_key)
return 1
""",
)


def revise_workflow(
    *,
    workflow_key: str,
    seen_state: str,
    graph_sha: str,
    seen_try: int,
    open_steps: str,
    graph: bytes,
    forgotten: str,
    mark_field: str,
    mark: str,
    resend: bool,
    fields: Sequence[Arg],
) -> Call[int]:
    """revise_workflow: running -> running;  failed | cancelled -> running

    `fields` is flat: (name, value) repeated.
    """
    return Call(
        script=REVISE_WORKFLOW,
        keys=(workflow_key,),
        args=(seen_state, graph_sha, seen_try, open_steps, graph, forgotten, mark_field, mark, "1" if resend else "0", *fields),
    )


SCAN_SCHEDULES = Script(
    name="scan_schedules",
    sha="07a2e28db185a7b03d0408eeeee4cdaf4943f8c6",
    text="""\
local schedules_key = KEYS[1]
local cursor = ARGV[1]
local limit = ARGV[2]
return redis.call('HSCAN', schedules_key, cursor, 'COUNT', limit)
""",
)


def scan_schedules(
    *,
    schedules_key: str,
    cursor: str,
    limit: int,
) -> Call[ScanPage]:
    """scan_schedules: reads only"""
    return Call(
        script=SCAN_SCHEDULES,
        keys=(schedules_key,),
        args=(cursor, limit),
    )


SCAN_TASKS = Script(
    name="scan_tasks",
    sha="6de1287702b816cf45b0642e6917c60ae5f5f2d0",
    text="""\
local base = KEYS[1]
local pattern = ARGV[1]
local cursor = ARGV[2]
return redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000, 'TYPE', 'stream')
""",
)


def scan_tasks(
    *,
    base: str,
    pattern: str,
    cursor: str,
) -> Call[ScanPage]:
    """scan_tasks: reads only"""
    return Call(
        script=SCAN_TASKS,
        keys=(base,),
        args=(pattern, cursor),
    )


SET_DUE = Script(
    name="set_due",
    sha="809b9027bf4d4b8c2a8c0ad105f0d8395d7ed7da",
    text="""\
local schedules_next_key = KEYS[1]
local name = ARGV[1]
local expected = ARGV[2]
local due_ms = ARGV[3]
local found = redis.call('ZSCORE', schedules_next_key, name)
if (found and tonumber(found)) == (due_ms ~= '' and tonumber(due_ms)) then
  return 1
end
if expected == 'none' and found or expected ~= 'none' and expected ~= '' and tonumber(found) ~= tonumber(expected) then
  return 0
end
if due_ms == '' then
  redis.call('ZREM', schedules_next_key, name)
else
  redis.call('ZADD', schedules_next_key, due_ms, name)
end
return 1
""",
)


def set_due(
    *,
    schedules_next_key: str,
    name: str,
    expected: str,
    due_ms: str,
) -> Call[int]:
    """set_due: next run of a schedule -> another one, or none"""
    return Call(
        script=SET_DUE,
        keys=(schedules_next_key,),
        args=(name, expected, due_ms),
    )


STEP_DOWN = Script(
    name="step_down",
    sha="fa456b46600f452874ccb4877e209efd6522adb7",
    text="""\
local schedules_lock_key = KEYS[1]
local token = ARGV[1]
if redis.call('GET', schedules_lock_key) ~= token then
  return 0
end
return redis.call('DEL', schedules_lock_key)
""",
)


def step_down(
    *,
    schedules_lock_key: str,
    token: str,
) -> Call[int]:
    """step_down: this scheduler -> nobody"""
    return Call(
        script=STEP_DOWN,
        keys=(schedules_lock_key,),
        args=(token,),
    )


STOP_WORKFLOW = Script(
    name="stop_workflow",
    sha="1547b6c73a235aba2b9489288446c12f5d86d653",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local keep_ms = tonumber(ARGV[2])
local outcome = ARGV[3]
local step = tonumber(ARGV[4])
local job_id = ARGV[5]
local message = ARGV[6]
local meant_try = tonumber(ARGV[7])
local job_try = tonumber(ARGV[8])
local closes = ARGV[9]
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
local nodes = nil
local followers = nil
local plans = {}
local function graph_nodes()
  if not nodes then
    local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
    nodes = known and type(graph) == 'table' and graph.nodes or {}
  end
  return nodes
end
local function numbers(text)
  local found = {}
  for number in string.gmatch(text, '%d+') do
    found[#found + 1] = tonumber(number)
  end
  return found
end
local function texts(list)
  local found = {}
  for i, number in ipairs(list) do
    found[i] = string.format('%d', number)
  end
  return found
end
local function followers_of(step)
  if not followers then
    followers = {}
    for index, node in ipairs(graph_nodes()) do
      for _, dep in ipairs(node.deps) do
        followers[dep] = followers[dep] or {}
        table.insert(followers[dep], index - 1)
      end
    end
  end
  return followers[step] or {}
end
local function plan_from_graph(step)
  local node = graph_nodes()[step + 1]
  if not node then
    return false
  end
  local input = '-'
  if type(node.data) ~= 'string' then
    local deps = texts(node.deps)
    input = #deps == 1 and deps[1] or '[' .. table.concat(deps, ',') .. ']'
  end
  return { job_id = node.jobId, version = string.format('%d', node._v), deps = node.deps, followers = followers_of(step),
    input = input, task = node.taskName }
end
local function plan_from_line(line)
  local job_id, version, deps, following, input, parent, task =
    string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.+)$')
  return { job_id = job_id, version = version, deps = numbers(deps), followers = numbers(following), input = input,
    parent = tonumber(parent), task = task }
end
local function plan_of(step)
  local plan = plans[step]
  if plan == nil then
    local line = redis.call('HGET', workflow_key, 'py:plan:' .. step)
    plan = line and plan_from_line(line) or plan_from_graph(step)
    plans[step] = plan
  end
  return plan or nil
end
local function field_of(step, name)
  return redis.call('HGET', workflow_key, 'n:' .. step .. ':' .. name)
end
local function terminals()
  local line = redis.call('HGET', workflow_key, 'py:terminal')
  if line then
    return numbers(line)
  end
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
  return known and type(graph) == 'table' and graph.terminal or {}
end
local function told_in()
  local first = terminals()[1]
  local plan = first and plan_of(first)
  return plan and plan.task or ''
end
local function is_held(step, state)
  return state == 'active' and redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1
end
local function count()
  return tonumber(redis.call('HGET', workflow_key, 'py:count') or #graph_nodes())
end
local function may_have_a_job(index, found)
  if index == step then
    return false
  end
  return (found == 'active' and not is_held(index, found)) or (found == 'pending' and #plan_of(index).deps == 0)
end
local function stop()
  local cascade = {}
  for index = 0, count() - 1 do
    local found = field_of(index, 'state')
    if found == 'pending' or found == 'active' then
      if may_have_a_job(index, found) then
        cascade[#cascade + 1] = string.format('%d', index)
      end
      redis.call('HSET', workflow_key, 'n:' .. index .. ':state', outcome)
    end
  end
  redis.call('HSET', workflow_key, 'state', outcome, 'error', message, 'py:finishedAt', now, 'py:cascade',
    table.concat(cascade, ','))
  if step >= 0 then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':error', message)
  end
  redis.call('PEXPIRE', workflow_key, keep_ms)
end
local found = fields_of(workflow_key, 'state', 'py:try', 'py:revive:' .. step)
local state, try, reviving = found[1], tonumber(found[2] or '0') or 0, tonumber(found[3] or '0') or 0
local function nothing(revive)
  return { state or '', '', try, revive or 0, {} }
end
if meant_try >= 0 and meant_try ~= try then
  return nothing()
end
if state == 'running' then
  local plan = step >= 0 and plan_of(step)
  local is_open = step < 0 or (plan and plan.job_id == job_id and field_of(step, 'state') ~= 'completed')
  if not is_open then
    return nothing()
  end
  if reviving > job_try then
    return nothing(reviving)
  end
  stop()
  state = outcome
elseif step >= 0 and not field_of(step, 'error') then
  return nothing()
end
local jobs = {}
for _, index in ipairs(numbers(fields_of(workflow_key, 'py:cascade')[1] or '')) do
  local plan = plan_of(index)
  jobs[#jobs + 1] = { plan.task, plan.job_id }
end
if closes == '1' and (state == 'failed' or state == 'cancelled') then
  try = try + 1
  redis.call('HSET', workflow_key, 'py:try', string.format('%d', try))
end
return { state or '', state and told_in() or '', try, 0, jobs }
""",
)


def stop_workflow(
    *,
    workflow_key: str,
    now_ms: int | None,
    keep_ms: int,
    outcome: str,
    step: int,
    job_id: str,
    message: str,
    meant_try: int,
    job_try: int,
    closes: bool,
) -> Call[tuple[bytes, bytes, int, int, list[list[bytes]]]]:
    """stop_workflow: running -> failed | cancelled"""
    return Call(
        script=STOP_WORKFLOW,
        keys=(workflow_key,),
        args=("" if now_ms is None else now_ms, keep_ms, outcome, step, job_id, message, meant_try, job_try, "1" if closes else "0"),
    )


TELL_WORKFLOW_END = Script(
    name="tell_workflow_end",
    sha="1ed430c1b28db93873643367d05360cc406fdee7",
    text="""\
local events_key = KEYS[1]
local workflow_id = ARGV[1]
local state = ARGV[2]
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local told = emit('workflow', workflow_id, 'state', state)
return type(told) == 'table' and told or 1
""",
)


def tell_workflow_end(
    *,
    keys: TaskKeys,
    workflow_id: str,
    state: str,
) -> Call[int]:
    """tell_workflow_end: event only"""
    return Call(
        script=TELL_WORKFLOW_END,
        keys=(keys.events_key,),
        args=(workflow_id, state),
    )


WITHDRAW_CLAIM = Script(
    name="withdraw_claim",
    sha="83043bc3e968644ec068df6d900429d803c23c1f",
    text="""\
local prefix = KEYS[1]
local given_now_ms = ARGV[1]
local schedule = ARGV[2]
local claimed_until_ms = tonumber(ARGV[3])
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local function withdrawn_key(schedule, claimed_until_ms)
  return prefix .. 'occurrences:' .. schedule .. ':withdrawn:' .. ms_text(claimed_until_ms)
end
if now_ms > claimed_until_ms then
  return 0
end
redis.call('SET', withdrawn_key(schedule, claimed_until_ms), '1', 'PX', ms_text(claimed_until_ms - now_ms + 1))
return 1
""",
)


def withdraw_claim(
    *,
    keys: TaskKeys,
    now_ms: int | None,
    schedule: str,
    claimed_until_ms: int,
) -> Call[int]:
    """withdraw_claim: claim of a schedule -> withdrawn claim"""
    return Call(
        script=WITHDRAW_CLAIM,
        keys=(keys.prefix,),
        args=("" if now_ms is None else now_ms, schedule, claimed_until_ms),
    )


WRITE_SCHEDULE = Script(
    name="write_schedule",
    sha="74a5abe19df6f230d43b3764caa809c2d2b9061b",
    text="""\
local schedules_key = KEYS[1]
local name = ARGV[1]
local expected = ARGV[2]
local record = ARGV[3]
local found = redis.call('HGET', schedules_key, name) or ''
if found == record then
  return 1
end
if found ~= expected then
  return 0
end
if record == '' then
  redis.call('HDEL', schedules_key, name)
else
  redis.call('HSET', schedules_key, name, record)
end
return 1
""",
)


def write_schedule(
    *,
    schedules_key: str,
    name: str,
    expected: bytes,
    record: bytes,
) -> Call[int]:
    """write_schedule: record of a schedule -> another one, or none"""
    return Call(
        script=WRITE_SCHEDULE,
        keys=(schedules_key,),
        args=(name, expected, record),
    )


SCRIPTS: tuple[Script, ...] = (
    ABANDON_WORKFLOW,
    ADVANCE_WORKFLOW,
    ANNOUNCE_WORKER,
    CANCEL,
    CANCEL_STEPS,
    CLAIM_DUE,
    COUNT_JOBS,
    COUNT_VERSIONS,
    CREATE_WORKFLOW,
    DESCRIBE_WORKFLOW,
    DISPATCH_OCCURRENCES,
    DUE_WORKFLOWS,
    ENQUEUE,
    ENQUEUE_CONTROLLED,
    ENQUEUE_STEPS,
    EXCHANGE,
    EXTEND_LEASES,
    FILE_WORKFLOW,
    FORGET_UNTOLD,
    HANDSHAKE,
    LAST_EVENT,
    LEAD,
    LIST_JOBS,
    LIST_WORKFLOWS,
    POSTPONE_UNTOLD,
    PRUNE,
    PUSH_COLLECT,
    READ_COLLECT,
    READ_DUE,
    READ_FIELDS,
    READ_JOB,
    READ_LOGS,
    READ_MIGRATION_LOCK,
    READ_SCHEDULES,
    READ_UNTOLD,
    READ_WORKERS,
    READ_WORKFLOW,
    RECOVER_STALLED,
    REMEMBER_WORKFLOW,
    REMOVE_FINISHED,
    REPORT,
    RESERVE_START,
    RETRY_DEAD,
    REVISE_WORKFLOW,
    SCAN_SCHEDULES,
    SCAN_TASKS,
    SET_DUE,
    STEP_DOWN,
    STOP_WORKFLOW,
    TELL_WORKFLOW_END,
    WITHDRAW_CLAIM,
    WRITE_SCHEDULE,
)
