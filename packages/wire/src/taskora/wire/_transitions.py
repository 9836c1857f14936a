"""Generated from lua/ by tools/bindings.py: do not edit.

One function per transition; each builds the call that runs it.
"""

from collections.abc import Sequence

from taskora.wire._call import Arg, Call, ExchangeReply, ScanPage, Script
from taskora.wire._keys import TaskKeys

ABANDON_WORKFLOW = Script(
    name="abandon_workflow",
    sha="bfcf1b05f2b961b70d05e52d6ac6737b35b07216",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local keep_ms = tonumber(ARGV[2])
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
    sha="e41cd4c37bfb2f8b1e4e42db82e6c95c0db7c824",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local keep_ms = tonumber(ARGV[2])
local STEPS = 3
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
    sha="ca7efbee227e3724fa550dd4a7b7c7ad30301ab5",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = { [prefix .. 'workers:about'] = 'hash', [prefix .. 'workers:beats'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="ba3ae18af64b7878c15b649aa4f1c08c5df930eb",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
end
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if of_key(key, redis.pcall('ZREM', key, id)) == 0 then
    return false
  end
  local left = redis.pcall('DECR', PARKED_COUNT)
  if type(left) == 'number' and left <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.pcall('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function move_to_ready(id)
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
end
local function free_next(concurrency_key)
  local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)
  return first[1] and pcall(move_to_ready, first[1]) and unpark(first[1], concurrency_key) or false
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
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
local function end_cancelled(job_id, state, concurrency_key)
  redis.pcall('ZREM', NEWER, job_id)
  redis.call('ZADD', cancelled_key, now, job_id)
  local is_withdrawn, why = true, nil
  if state == 'waiting' then
    is_withdrawn, why = pcall(withdraw, job_id, concurrency_key)
  else
    is_withdrawn, why = pcall(redis.call, 'ZREM', delayed_key, job_id)
  end
  if not is_withdrawn then
    redis.call('ZREM', cancelled_key, job_id)
    error(why)
  end
end
local function cancel(job_id, reason)
  local job_key = prefix .. job_id
  local fields = fields_of(job_key, 'state', 'dedupKey', 'concurrencyKey')
  local state, dedup_key, concurrency_key = fields[1], fields[2], fields[3]
  if not state then
    return UNKNOWN
  end
  if FINAL[state] then
    return ENDED
  end
  if state ~= 'active' then
    end_cancelled(job_id, state, concurrency_key)
  end
  if reason ~= '' then
    redis.call('HSET', job_key, 'cancelReason', reason)
  end
  if state == 'active' then
    redis.call('HSET', job_key, 'cancelledAt', now)
    redis.call('PUBLISH', cancel_channel, job_id)
    return REQUESTED
  end
  redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[8]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'zset', [KEYS[6]] = 'stream', [prefix .. 'parked:count'] = 'string', [prefix .. 'parked:freed'] = 'list', [prefix .. 'parked:keys'] = 'zset', [prefix .. 'parked:newer'] = 'zset', [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="e10a902d139bda9dfbce1315912a323ea72d906e",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
end
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if of_key(key, redis.pcall('ZREM', key, id)) == 0 then
    return false
  end
  local left = redis.pcall('DECR', PARKED_COUNT)
  if type(left) == 'number' and left <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.pcall('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function move_to_ready(id)
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
end
local function free_next(concurrency_key)
  local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)
  return first[1] and pcall(move_to_ready, first[1]) and unpark(first[1], concurrency_key) or false
end
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
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
local function end_cancelled(job_id, state, concurrency_key)
  redis.pcall('ZREM', NEWER, job_id)
  redis.call('ZADD', cancelled_key, now, job_id)
  local is_withdrawn, why = true, nil
  if state == 'waiting' then
    is_withdrawn, why = pcall(withdraw, job_id, concurrency_key)
  else
    is_withdrawn, why = pcall(redis.call, 'ZREM', delayed_key, job_id)
  end
  if not is_withdrawn then
    redis.call('ZREM', cancelled_key, job_id)
    error(why)
  end
end
local function cancel(job_id, reason)
  local job_key = prefix .. job_id
  local fields = fields_of(job_key, 'state', 'dedupKey', 'concurrencyKey')
  local state, dedup_key, concurrency_key = fields[1], fields[2], fields[3]
  if not state then
    return UNKNOWN
  end
  if FINAL[state] then
    return ENDED
  end
  if state ~= 'active' then
    end_cancelled(job_id, state, concurrency_key)
  end
  if reason ~= '' then
    redis.call('HSET', job_key, 'cancelReason', reason)
  end
  if state == 'active' then
    redis.call('HSET', job_key, 'cancelledAt', now)
    redis.call('PUBLISH', cancel_channel, job_id)
    return REQUESTED
  end
  redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
  release_dedup(dedup_key, job_id)
  emit('cancelled', job_id, 'reason', reason)
  return CANCELLED
end
local function prevent(job_id)
  redis.call('ZADD', cancelled_key, now, job_id)
  redis.call('HSET', prefix .. job_id, 'ts', now, '_v', '1', 'attempt', '1', 'maxAttempts', '1', 'state', 'cancelled',
    'priority', '0', 'data', 'null', 'finishedOn', now, 'cancelReason', reason)
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[8]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'zset', [KEYS[6]] = 'stream', [prefix .. 'parked:count'] = 'string', [prefix .. 'parked:freed'] = 'list', [prefix .. 'parked:keys'] = 'zset', [prefix .. 'parked:newer'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="f35514186852be0549e29e5fd21bcafdca10d139",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="ba9762574fb4c769e216164014ca2e1e4512f2dc",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[9]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'list', [KEYS[4]] = 'zset', [KEYS[5]] = 'zset', [KEYS[6]] = 'zset', [KEYS[7]] = 'zset', [KEYS[8]] = 'zset', [prefix .. 'parked:newer'] = 'zset', [prefix .. 'workers:about'] = 'hash', [prefix .. 'workers:beats'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="e313c036274298ce6b641293502fab0457a2fbd8",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[5]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'list', [KEYS[4]] = 'zset', [prefix .. 'parked:freed'] = 'list', [prefix .. 'parked:keys'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="ed04030297924f4b1371689e5cf533a864bd9629",
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
    sha="6af12f49c5164672784eb217b32b3257dd39d137",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
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
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
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
local function line_up_created()
  local are_listed, why = pcall(in_batches, ready_ids, 'LPUSH', wait_key)
  if not are_listed then
    for i = 1, #ready_ids do
      redis.call('DEL', prefix .. ready_ids[i])
    end
    error(why)
  end
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function place_created(id, delay_ms, priority, lifo)
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    earliest_due = math.min(due, earliest_due or due)
    return false
  end
  if priority > 0 or lifo then
    push_new(id, priority, now_ms, lifo)
  else
    ready_ids[#ready_ids + 1] = id
  end
  any_ready = true
  return true
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  local is_placed, is_ready = pcall(place_created, id, delay_ms, priority, lifo)
  if not is_placed then
    redis.call('DEL', prefix .. id)
    line_up_created()
    error(is_ready)
  end
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  emit(is_ready and 'waiting' or 'delayed', id)
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
end
line_up_created()
for _, i in ipairs(new) do
  redis.call('LPUSH', dispatched_key, ARGV[i])
end
redis.call('LTRIM', dispatched_key, 0, REMEMBERED - 1)
redis.call('PEXPIRE', dispatched_key, REMEMBER_MS)
return created
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="72f6273680e81da57a28abc9290efc3e92b8cf0b",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="01f0806ff604572d80de06d017bbe8ee3dfd2419",
    text="""\
local function transition()
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
local others_made
function others()
if others_made then
return others_made
end
local prefix = KEYS[1]
local version = ARGV[2]
local max_attempts = ARGV[3]
local resend = ARGV[4]
local wait_key = prefix .. 'wait'
local prioritized_key = prefix .. 'prioritized'
local delayed_key = prefix .. 'delayed'
local marker_key = prefix .. 'marker'
local function ms_text(ms)
  return string.format('%.0f', ms)
end
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
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
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
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
local function line_up_created()
  local are_listed, why = pcall(in_batches, ready_ids, 'LPUSH', wait_key)
  if not are_listed then
    for i = 1, #ready_ids do
      redis.call('DEL', prefix .. ready_ids[i])
    end
    error(why)
  end
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function place_created(id, delay_ms, priority, lifo)
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    earliest_due = math.min(due, earliest_due or due)
    return false
  end
  if priority > 0 or lifo then
    push_new(id, priority, now_ms, lifo)
  else
    ready_ids[#ready_ids + 1] = id
  end
  any_ready = true
  return true
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  local is_placed, is_ready = pcall(place_created, id, delay_ms, priority, lifo)
  if not is_placed then
    redis.call('DEL', prefix .. id)
    line_up_created()
    error(is_ready)
  end
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  emit(is_ready and 'waiting' or 'delayed', id)
end
local function undo_created(ids, why)
  for i = 1, #ids do
    redis.call('DEL', prefix .. ids[i])
  end
  error(why)
end
local function list_many(ids)
  local are_listed, why = pcall(in_batches, ids, 'LPUSH', wait_key)
  return are_listed and #ids or why
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
others_made = { ms_text = ms_text, in_batches = in_batches, score_of = score_of, push_ready = push_ready, push_new = push_new, wake_now = wake_now, wake_at = wake_at, more_fields = more_fields, line_up_created = line_up_created, place_created = place_created, create = create, undo_created = undo_created, list_many = list_many, create_as = create_as, create_with_terms = create_with_terms }
return others_made
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
    local listed = count <= 1000 and attempt('LPUSH', wait_key, unpack(ids)) or others().list_many(ids)
    if type(listed) ~= 'number' then
      others().undo_created(ids, listed)
    end
    attempt('ZADD', marker_key, '0', '0')
  end
end
local flags = {}
if taken then
  for i = JOBS, #ARGV, WIDTH do
    flags[#flags + 1] = taken[i] and 0 or 1
  end
end
return flags
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = { [prefix .. 'wait'] = 'list', [prefix .. 'prioritized'] = 'zset', [prefix .. 'delayed'] = 'zset', [prefix .. 'marker'] = 'zset', [prefix .. 'events'] = 'stream' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="d28f6ccac902eaef4a1caf391de860f04b4cb0f2",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
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
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
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
local function line_up_created()
  local are_listed, why = pcall(in_batches, ready_ids, 'LPUSH', wait_key)
  if not are_listed then
    for i = 1, #ready_ids do
      redis.call('DEL', prefix .. ready_ids[i])
    end
    error(why)
  end
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function place_created(id, delay_ms, priority, lifo)
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    earliest_due = math.min(due, earliest_due or due)
    return false
  end
  if priority > 0 or lifo then
    push_new(id, priority, now_ms, lifo)
  else
    ready_ids[#ready_ids + 1] = id
  end
  any_ready = true
  return true
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  local is_placed, is_ready = pcall(place_created, id, delay_ms, priority, lifo)
  if not is_placed then
    redis.call('DEL', prefix .. id)
    line_up_created()
    error(is_ready)
  end
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  emit(is_ready and 'waiting' or 'delayed', id)
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
  local admitted = admit(job)
  redis.call('SET', dedup_key, job.id, 'PX', ms_text(job.period_ms))
  return admitted
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
  local admitted = admit(job)
  if accepted == 0 then
    redis.call('SET', counter, '1', 'PX', ms_text(job.period_ms))
  else
    redis.call('INCR', counter)
  end
  return admitted
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream', [prefix .. 'parked:newer'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="402a9ab5e7b17d6198571b488a0d012a5fdb9971",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
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
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
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
local function line_up_created()
  local are_listed, why = pcall(in_batches, ready_ids, 'LPUSH', wait_key)
  if not are_listed then
    for i = 1, #ready_ids do
      redis.call('DEL', prefix .. ready_ids[i])
    end
    error(why)
  end
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end
local function place_created(id, delay_ms, priority, lifo)
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    earliest_due = math.min(due, earliest_due or due)
    return false
  end
  if priority > 0 or lifo then
    push_new(id, priority, now_ms, lifo)
  else
    ready_ids[#ready_ids + 1] = id
  end
  any_ready = true
  return true
end
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  local is_placed, is_ready = pcall(place_created, id, delay_ms, priority, lifo)
  if not is_placed then
    redis.call('DEL', prefix .. id)
    line_up_created()
    error(is_ready)
  end
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  emit(is_ready and 'waiting' or 'delayed', id)
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="10d0ea0aa7cc08a94f494afe0db992162d807056",
    text="""\
local function transition()
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
local max_version = ARGV[7]
local limits = ARGV[8]
local OUTCOMES = 9
if tonumber(lease_ms) < 1 then
  return redis.error_reply('ERR lease_ms must be at least 1')
end
local others, setbacks, seldom, failing
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
local call, try, given = redis.call, redis.pcall, ARGV
local reply = { now_ms, -1, '', '' }
local started = {}
local state = { now = now, now_ms = now_ms, reply = reply, started = started }
local others_made
function others()
if others_made then
return others_made
end
local prefix = KEYS[1]
local token = ARGV[2]
local lease_ms = ARGV[3]
local resend = ARGV[6]
local max_version = ARGV[7]
local limits = ARGV[8]
local prioritized_key = prefix .. 'prioritized'
local active_key = prefix .. 'active'
local completed_key = prefix .. 'completed'
local failed_key = prefix .. 'failed'
local cancelled_key = prefix .. 'cancelled'
local stalled_key = prefix .. 'stalled'
local events_key = prefix .. 'events'
local OUTCOMES = 9
local now = state.now
local now_ms = state.now_ms
local reply = state.reply
local started = state.started
local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
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
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local minute = string.format('%d0000', math.floor(now_ms / 60000) * 6)
  local counter = prefix .. 'metrics:' .. result .. ':' .. minute
  if redis.pcall('INCRBY', counter, amount) == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
local function count_of(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or 0
end
local function count_text(text)
  return string.format('%d', count_of(text))
end
local PLAIN_FIELDS, PLAIN, GONE = 8, {}, {}
local ENDS = { completed = completed_key, failed = failed_key, cancelled = cancelled_key }
local ending = { completed = {}, failed = {}, cancelled = {} }
local leaving = {}
local function judge(outcome, holder)
  local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = '0', '1', '2', '3'
  if leaving[outcome.id] or holder ~= outcome.token then
    return resend == '1' and REPEATED or LOST
  end
  if outcome.is_plain and redis.pcall('HLEN', outcome.job_key) == PLAIN_FIELDS then
    return SETTLED, PLAIN
  end
  local fields = fields_of(outcome.job_key, 'attempt', 'cancelledAt', 'state', 'concurrencyKey', 'dedupKey', '_wf')
  if not fields[3] then
    return LOST, GONE
  end
  if fields[2] and not ENDS[outcome.kind] then
    return CANCEL_REQUESTED
  end
  return SETTLED, fields
end
local function read_outcomes()
  local outcomes, locks, statuses = {}, {}, {}
  for i = OUTCOMES, #ARGV, 3 do
    local kind, delay_ms, token = string.match(ARGV[i], '^(%l*) ?(%d*)%+(.*)$')
    local n, id, job_key = #outcomes + 1, ARGV[i + 1], prefix .. ARGV[i + 1]
    locks[n] = job_key .. ':lock'
    outcomes[n] = {
      kind = kind == '' and 'completed' or kind, is_plain = kind == '', delay_ms = tonumber(delay_ms or '') or 0,
      token = token, id = id, payload = ARGV[i + 2], job_key = job_key, lock_key = locks[n],
    }
  end
  local holders = looked_up(locks, 'MGET')
  for n = 1, #outcomes do
    local outcome = outcomes[n]
    statuses[n], outcome.fields = judge(outcome, holders[n])
    if outcome.fields then
      leaving[outcome.id] = true
      leaving[#leaving + 1] = outcome.id
    end
  end
  return outcomes, table.concat(statuses)
end
local function correct_active(oldest, ids)
  local SHORT_SEARCH = 128
  local is_listed, missing, staying = {}, #ids, {}
  for i = 1, #ids do
    is_listed[ids[i]] = true
  end
  for i = #oldest, 1, -1 do
    local id = oldest[i]
    if is_listed[id] == nil then
      staying[#staying + 1] = id
    elseif is_listed[id] then
      is_listed[id] = false
      missing = missing - 1
    end
  end
  in_batches(staying, 'RPUSH', active_key)
  local running = missing > 0 and redis.call('LLEN', active_key)
  for i = 1, #ids do
    if is_listed[ids[i]] then
      local is_among_oldest = running <= SHORT_SEARCH
        or redis.call('LPOS', active_key, ids[i], 'RANK', -1, 'MAXLEN', SHORT_SEARCH)
      redis.call('LREM', active_key, is_among_oldest and '-1' or '1', ids[i])
    end
  end
end
local function find_place(outcome)
  local fields, together = outcome.fields, ending[outcome.kind]
  if fields == GONE then
    return
  end
  if not together then
    setbacks().queue_again(outcome.id, outcome.kind, outcome.delay_ms)
  else
    if fields[6] then
      seldom().note_end(outcome.id, fields[6])
    end
    together[#together + 1] = outcome
  end
end
local function list_together(kind)
  local outcomes, scored = ending[kind], {}
  if #outcomes == 0 then
    return
  end
  for n = 1, #outcomes do
    scored[2 * n - 1], scored[2 * n] = now, outcomes[n].id
  end
  local is_listed, why = pcall(in_batches, scored, 'ZADD', ENDS[kind])
  if not is_listed then
    failing().refuse(outcomes, why)
  elseif kind ~= 'cancelled' then
    count_finished(kind, #outcomes)
  end
end
local function settle(outcome)
  local id, job_key, fields, kind = outcome.id, outcome.job_key, outcome.fields, outcome.kind
  if fields[4] then
    setbacks().give_slot_back(fields[4])
  end
  if kind ~= 'completed' then
    return setbacks().end_without_result(kind, id, job_key, fields, outcome.payload, outcome.delay_ms)
  end
  redis.call('HSET', job_key, 'state', 'completed', 'finishedOn', now, 'result', outcome.payload)
  if fields[5] or fields[6] then
    setbacks().let_go(id, fields[5], fields[6], outcome.token)
  end
  emit('completed', id, 'attempt', fields == PLAIN and '1' or count_text(fields[1]))
end
local function settle_all()
  local outcomes, statuses = read_outcomes()
  if #leaving == 0 then
    redis.call('DEL', prefix .. 'parked:none')
    return statuses
  end
  correct_active(redis.call('RPOP', active_key, #leaving) or {}, leaving)
  for n = 1, #outcomes do
    if outcomes[n].fields then
      local is_placed, why = pcall(find_place, outcomes[n])
      if not is_placed then
        failing().refuse({ outcomes[n] }, why)
      end
    end
  end
  for kind in pairs(ENDS) do
    list_together(kind)
  end
  local locks, ids = {}, {}
  for n = 1, #outcomes do
    local fields = outcomes[n].fields
    if fields then
      locks[#locks + 1], ids[#ids + 1] = outcomes[n].lock_key, outcomes[n].id
      if fields ~= GONE then
        settle(outcomes[n])
      end
    end
  end
  in_batches(locks, 'DEL')
  pcall(in_batches, ids, 'SREM', stalled_key)
  if #ids < #leaving then
    failing().tell_refusal()
  end
  return statuses
end
local HEAD = 4
local function add_link(id, workflow_id)
  local links = state.links or {}
  local n = #links
  links[n + 1], links[n + 2] = (#reply - HEAD) / 5 - 1, workflow_id
  links[n + 3] = redis.call('HGET', prefix .. id, '_wfNode') or ''
  state.links = links
end
local function told_of(attempt, stalled_count)
  return count_of(stalled_count) > 0 and count_text(attempt) .. '!' or count_text(attempt)
end
local function start(id, job_key, fields, before)
  local attempt, n = count_text(fields[3]), #reply
  if redis.pcall('PSETEX', job_key .. ':lock', lease_ms, token).err then
    redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  end
  if before then
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now, 'py:before', before)
  else
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  end
  emit('active', id, 'attempt', attempt)
  started[#started + 1] = id
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] =
    id, fields[1] or '', fields[2] or '0', told_of(fields[3], fields[11]), fields[4] or '0'
end
local function try_start(id, job_key)
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn', 'stalledCount')
  local is_in_time = not fields[5] or now_ms < (tonumber(fields[5]) or 0)
  local asks_nothing = fields[8] == 'waiting' and limits == '' and is_in_time and not (fields[6] or fields[7])
    and (tonumber(fields[2] or '0') or 0) <= tonumber(max_version)
  if not (asks_nothing or seldom().may_start(id, job_key, fields)) then
    return
  end
  local expire_at, processed_on = fields[5], fields[10]
  local before = (expire_at or processed_on) and (processed_on or '') .. ',' .. (expire_at or '')
  start(id, job_key, fields, before)
  if expire_at then
    redis.call('HDEL', job_key, 'expireAt')
  end
  if fields[9] then
    add_link(id, fields[9])
  end
end
local function start_or_set_aside(id, job_key, source)
  local is_done, why = pcall(try_start, id, job_key)
  if not is_done then
    failing().set_aside(id, source, why)
  end
end
local function pop_prioritized(count)
  local scored = redis.pcall('ZPOPMIN', prioritized_key, count)
  local ids = { err = scored.err }
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return ids
end
others_made = { fields_of = fields_of, in_batches = in_batches, looked_up = looked_up, emit = emit, count_finished = count_finished, count_of = count_of, count_text = count_text, judge = judge, read_outcomes = read_outcomes, correct_active = correct_active, find_place = find_place, list_together = list_together, settle = settle, settle_all = settle_all, add_link = add_link, told_of = told_of, start = start, try_start = try_start, start_or_set_aside = start_or_set_aside, pop_prioritized = pop_prioritized }
return others_made
end
local setbacks_made
function setbacks()
if setbacks_made then
return setbacks_made
end
local prefix = KEYS[1]
local wait_key = prefix .. 'wait'
local prioritized_key = prefix .. 'prioritized'
local delayed_key = prefix .. 'delayed'
local marker_key = prefix .. 'marker'
local now = state.now
local now_ms = state.now_ms
local fields_of = others().fields_of
local emit = others().emit
local count_of = others().count_of
local count_text = others().count_text
local function ms_text(ms)
  return string.format('%.0f', ms)
end
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
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
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local function let_go(id, dedup_key, workflow_id, settled_by)
  if dedup_key then
    seldom().release_dedup(dedup_key, id)
  end
  if workflow_id and settled_by then
    redis.call('HSET', prefix .. id, 'py:settledBy', settled_by)
  end
end
local function give_slot_back(concurrency_key)
  if concurrency_key and seldom().release_concurrency(concurrency_key) then
    wake_now()
  end
end
local function queue_again(id, kind, delay_ms)
  if kind == 'retrying' or delay_ms > 0 then
    redis.call('ZADD', delayed_key, ms_text(now_ms + delay_ms), id)
  else
    local fields = fields_of(prefix .. id, 'priority', 'ts')
    local priority = tonumber(fields[1] or '0') or 0
    push_new(id, priority, tonumber(fields[2] or now) or now_ms, kind == 'declined' and not (priority > 0))
  end
end
local function retry_later(id, job_key, attempt, error_text, delay_ms)
  local next_attempt = string.format('%d', attempt + 1)
  local due = now_ms + delay_ms
  redis.call('HSET', job_key, 'state', 'retrying', 'attempt', next_attempt, 'error', error_text)
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
local function give_back(id, job_key, delay_ms)
  if delay_ms > 0 then
    redis.call('HSET', job_key, 'state', 'delayed')
    wake_at(now_ms + delay_ms)
  else
    redis.call('HSET', job_key, 'state', 'waiting')
    wake_now()
    emit('waiting', id)
  end
end
local function end_without_result(kind, id, job_key, fields, payload, delay_ms)
  if kind == 'retrying' then
    retry_later(id, job_key, count_of(fields[1]), payload, delay_ms)
  elseif kind == 'failed' then
    redis.call('HSET', job_key, 'state', 'failed', 'finishedOn', now, 'error', payload)
    let_go(id, fields[5], fields[6])
    emit('failed', id, 'attempt', count_text(fields[1]), 'error', payload)
  elseif kind == 'cancelled' then
    redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
    let_go(id, fields[5], fields[6])
    emit('cancelled', id, 'reason', fields_of(job_key, 'cancelReason')[1] or '')
  else
    if kind == 'declined' then
      undo_start(job_key)
    end
    give_back(id, job_key, delay_ms)
  end
end
setbacks_made = { ms_text = ms_text, score_of = score_of, push_ready = push_ready, push_new = push_new, wake_now = wake_now, wake_at = wake_at, let_go = let_go, give_slot_back = give_slot_back, queue_again = queue_again, retry_later = retry_later, undo_start = undo_start, give_back = give_back, end_without_result = end_without_result }
return setbacks_made
end
local seldom_made
function seldom()
if seldom_made then
return seldom_made
end
local prefix = KEYS[1]
local token = ARGV[2]
local slots = tonumber(ARGV[4])
local on_expire = ARGV[5]
local max_version = ARGV[7]
local limits = ARGV[8]
local active_key = prefix .. 'active'
local delayed_key = prefix .. 'delayed'
local expired_key = prefix .. 'expired'
local now = state.now
local now_ms = state.now_ms
local reply = state.reply
local started = state.started
local fields_of = others().fields_of
local emit = others().emit
local count_of = others().count_of
local ms_text = setbacks().ms_text
local score_of = setbacks().score_of
local push_ready = setbacks().push_ready
local singleton, rate_max, rate_window_ms, key_limit, default_ttl_ms, rate_key =
  string.match(limits, '^([01]) (%d+) (%d+) (%d+) (%d+) (.*)$')
rate_max, rate_window_ms = tonumber(rate_max or '0'), tonumber(rate_window_ms or '0')
key_limit, default_ttl_ms = tonumber(key_limit or '0'), tonumber(default_ttl_ms or '0')
local NEWER = prefix .. 'parked:newer'
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
end
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and count_of(held) or 0
end
local function score_among_parked(key, priority, order_ms, was_freed)
  if priority > 0 then
    return score_of(priority, order_ms)
  end
  local score
  if was_freed then
    local first = of_key(key, redis.pcall('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES'))[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  else
    local last = of_key(key, redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES'))[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  return string.format('%.17g', score)
end
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
  if of_key(key, redis.pcall('ZADD', key, score_among_parked(key, priority, order_ms, was_freed), id)) == 1 then
    redis.pcall('INCR', PARKED_COUNT)
  end
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if of_key(key, redis.pcall('ZREM', key, id)) == 0 then
    return false
  end
  local left = redis.pcall('DECR', PARKED_COUNT)
  if type(left) == 'number' and left <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.pcall('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function move_to_ready(id)
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
end
local function free_next(concurrency_key)
  local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)
  return first[1] and pcall(move_to_ready, first[1]) and unpark(first[1], concurrency_key) or false
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
    local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
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
local function forget_end(id)
  redis.pcall('ZREM', UNTOLD, id)
end
local function list_ended(set_key, id, workflow_id)
  note_end(id, workflow_id)
  local listed = redis.pcall('ZADD', set_key, now, id)
  if type(listed) == 'table' then
    forget_end(id)
    error(listed)
  end
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
  local exempt = fields_of(job_key, 'processedOn', 'collectKey')
  return not exempt[1] and not exempt[2]
end
local function discard(id, job_key)
  local remains = prefix .. 'gone:' .. id
  redis.call('HSET', remains, 'state', 'expired', 'finishedOn', now)
  redis.call('DEL', job_key, job_key .. ':logs')
  redis.call('PEXPIRE', remains, REMAINS_MS)
end
local function expire(id, job_key, dedup_key)
  local workflow_id = fields_of(job_key, '_wf')[1]
  if on_expire == 'discard' and not workflow_id then
    discard(id, job_key)
  else
    list_ended(expired_key, id, workflow_id)
    redis.call('HSET', job_key, 'state', 'expired', 'finishedOn', now)
  end
  release_dedup(dedup_key, id)
  emit('expired', id)
end
local NEWER_PARK_MS = 30000
local ENDED = { completed = true, failed = true, cancelled = true, expired = true }
local function unless_damaged(work, ...)
  local is_done, result = pcall(work, ...)
  if is_done then
    return result
  end
  failing().pass_over(result)
end
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
  redis.call('ZADD', delayed_key, ms_text(now_ms + NEWER_PARK_MS), id)
  redis.pcall('ZADD', NEWER, job_version, id)
  redis.call('HSET', job_key, 'state', 'delayed')
  state.moved_delayed = true
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
  elseif job_version > tonumber(max_version) then
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
local function try_freed()
  freed_and_blocked = {}
end
local function park_again()
  local places = freed_and_blocked
  freed_and_blocked = nil
  for i = #places, 1, -1 do
    local id, concurrency_key, priority, order_ms = unpack(places[i])
    local is_parked, failure = pcall(park, id, concurrency_key, priority, order_ms, true)
    if not is_parked then
      failing().set_aside(id, FREED, failure)
    end
  end
end
local PROMOTE_LIMIT = 100
local function promote(id)
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'expireAt', 'priority', 'ts', '_v', 'dedupKey')
  if is_expired(job_key, fields[1], fields[3]) then
    expire(id, job_key, fields[5])
  elseif fields[4] or fields[3] then
    push_ready(id, tonumber(fields[2] or '0') or 0, tonumber(fields[3] or now) or now_ms)
    redis.call('HSET', job_key, 'state', 'waiting')
    emit('promoted', id)
  end
end
local function promote_due()
  state.moved_delayed = true
  local due = redis.call('ZRANGE', delayed_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  redis.pcall('ZREM', NEWER, unpack(due))
  for i = 1, #due do
    local is_done, failure = pcall(promote, due[i])
    if not is_done then
      if i > 1 then
        redis.call('ZREM', delayed_key, unpack(due, 1, i - 1))
      end
      error(failure)
    end
  end
  redis.call('ZREM', delayed_key, unpack(due))
end
local function take_newer()
  local ids = redis.pcall('ZRANGE', NEWER, '-inf', max_version, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  for i = 1, #ids do
    local id = ids[i]
    redis.call('ZREM', NEWER, id)
    if redis.call('ZSCORE', delayed_key, id) then
      local fields = fields_of(prefix .. id, 'priority', 'ts')
      push_ready(id, tonumber(fields[1] or '0') or 0, tonumber(fields[2] or now) or now_ms)
      redis.call('ZREM', delayed_key, id)
      redis.call('HSET', prefix .. id, 'state', 'waiting')
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
      state.paced_until = ms_text(now_ms + 1000)
      return 0
    end
  end
  if rate_max > 0 and slots > 0 then
    redis.call('ZREMRANGEBYSCORE', RATE, '-inf', ms_text(now_ms - rate_window_ms))
    slots = math.min(slots, rate_max - redis.call('ZCARD', RATE))
    if slots <= 0 then
      local paced_until = tonumber(redis.call('ZRANGE', RATE, 0, 0, 'WITHSCORES')[2]) + rate_window_ms
      redis.call('SET', prefix .. 'parked:until', ms_text(paced_until), 'PX', ms_text(math.max(1, paced_until - now_ms)))
      state.paced_until = ms_text(paced_until)
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
seldom_made = { of_key = of_key, parked_key = parked_key, slots_held = slots_held, score_among_parked = score_among_parked, park = park, unpark = unpark, move_to_ready = move_to_ready, free_next = free_next, limit_of = limit_of, next_keys = next_keys, recheck_parked = recheck_parked, release_dedup = release_dedup, release_concurrency = release_concurrency, note_end = note_end, forget_end = forget_end, list_ended = list_ended, collect_keys = collect_keys, take_items = take_items, drain = drain, is_expired = is_expired, discard = discard, expire = expire, unless_damaged = unless_damaged, takes_slot = takes_slot, leave_for_newer = leave_for_newer, pass_on = pass_on, key_fields_of = key_fields_of, may_start = may_start, try_freed = try_freed, park_again = park_again, promote = promote, promote_due = promote_due, take_newer = take_newer, anything_runs = anything_runs, paced = paced, count_starts = count_starts }
return seldom_made
end
local failing_made
function failing()
if failing_made then
return failing_made
end
local prefix = KEYS[1]
local token = ARGV[2]
local lease_ms = ARGV[3]
local slots = tonumber(ARGV[4])
local prioritized_key = prefix .. 'prioritized'
local active_key = prefix .. 'active'
local stalled_key = prefix .. 'stalled'
local reply = state.reply
local started = state.started
local fields_of = others().fields_of
local in_batches = others().in_batches
local add_link = others().add_link
local told_of = others().told_of
local start = others().start
local queue_again = setbacks().queue_again
local undo_start = setbacks().undo_start
local release_concurrency = seldom().release_concurrency
local forget_end = seldom().forget_end
local function reclaim_own(slots)
  local before = #reply
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local job_key = prefix .. id
    if redis.pcall('GET', job_key .. ':lock') == token then
      redis.call('PEXPIRE', job_key .. ':lock', lease_ms)
      redis.pcall('SREM', stalled_key, id)
      local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', '_wf', 'stalledCount')
      for _, value in ipairs({ id, fields[1] or '', fields[2] or '0', told_of(fields[3], fields[6]), fields[4] or '0' }) do
        reply[#reply + 1] = value
      end
      if fields[5] then
        add_link(id, fields[5])
      end
    end
  end
  return slots - (#reply - before) / 5
end
local refusal = nil
local aside = {}
local function return_to_active(ids)
  for i = #ids, 1, -1 do
    redis.call('RPUSH', active_key, ids[i])
  end
end
local function refuse(outcomes, why)
  local ids = {}
  for n = 1, #outcomes do
    if outcomes[n].fields[6] then
      seldom().forget_end(outcomes[n].id)
    end
    outcomes[n].fields = nil
    ids[n] = outcomes[n].id
  end
  return_to_active(ids)
  refusal = refusal or why
end
local function tell_refusal()
  error(refusal)
end
local function note_refusal(why)
  state.has_failed = true
  refusal = refusal or why
end
local function pass_over(why)
  if not string.find(type(why) == 'table' and why.err or why, 'WRONGTYPE', 1, true) then
    error(why)
  end
  note_refusal(why)
end
local function set_aside(id, source, why)
  aside[#aside + 1], aside[#aside + 2] = id, source
  note_refusal(why)
end
local function put_back(has_told)
  for n = #aside - 1, 1, -2 do
    if aside[n + 1] == prioritized_key then
      setbacks().queue_again(aside[n], 'declined', 0)
    else
      redis.call('RPUSH', aside[n + 1], aside[n])
    end
  end
  if refusal and not has_told then
    error(refusal)
  end
end
local function undo_claims(why)
  for n = #started, 1, -1 do
    local id, job_key = started[n], prefix .. started[n]
    setbacks().queue_again(id, 'declined', 0)
    seldom().release_concurrency(fields_of(job_key, 'concurrencyKey')[1])
    setbacks().undo_start(job_key)
    redis.call('HSET', job_key, 'state', 'waiting')
    redis.call('DEL', job_key .. ':lock')
  end
  put_back(true)
  error(why)
end
local function list_many(ids)
  local is_listed, why = pcall(in_batches, ids, 'LPUSH', active_key)
  return is_listed and #ids or why
end
failing_made = { reclaim_own = reclaim_own, return_to_active = return_to_active, refuse = refuse, tell_refusal = tell_refusal, note_refusal = note_refusal, pass_over = pass_over, set_aside = set_aside, put_back = put_back, undo_claims = undo_claims, list_many = list_many }
return failing_made
end
if #given >= OUTCOMES then
  local MOST, PLAIN_FIELDS = 1000, 8
  local count, n = (#given - OUTCOMES + 1) / 3, 0
  local ids, job_keys, lock_keys, completed, place_of = {}, {}, {}, {}, {}
  local all_plain = count <= MOST
  if all_plain then
    for i = OUTCOMES + 1, #given, 3 do
      n = n + 1
      ids[n], job_keys[n] = given[i], prefix .. given[i]
      lock_keys[n] = job_keys[n] .. ':lock'
    end
    local holders, holder, ending = call('MGET', unpack(lock_keys)), nil, nil
    for i = 1, count do
      if holders[i] ~= holder then
        holder = holders[i]
        ending = holder and '+' .. holder
      end
      local id = ids[i]
      if given[OUTCOMES + 3 * i - 3] ~= ending or place_of[id] or try('HLEN', job_keys[i]) ~= PLAIN_FIELDS then
        all_plain = false
        break
      end
      place_of[id] = i
      completed[2 * i - 1], completed[2 * i] = now, id
    end
  end
  if all_plain then
    local oldest, found = call('RPOP', active_key, count == 1 and '1' or count) or {}, 0
    for i = 1, #oldest do
      if place_of[oldest[i]] then
        place_of[oldest[i]] = nil
        found = found + 1
      end
    end
    if found < count then
      others().correct_active(oldest, ids)
    end
    local listed = try('ZADD', completed_key, unpack(completed))
    if listed ~= count and type(listed) == 'table' then
      failing().return_to_active(ids)
      error(listed)
    end
    for i = 1, count do
      call('HSET', job_keys[i], 'state', 'completed', 'finishedOn', now, 'result', given[OUTCOMES + 3 * i - 1])
      try('XADD', events_key, '*', 'event', 'completed', 'jobId', ids[i], 'attempt', '1')
    end
    call('DEL', unpack(lock_keys))
    try('SREM', stalled_key, unpack(ids))
    local counter = prefix .. 'metrics:completed:' .. string.format('%d0000', math.floor(now_ms / 60000) * 6)
    if (count == 1 and try('INCR', counter) or try('INCRBY', counter, count)) == count then
      call('EXPIRE', counter, '86400')
    end
    reply[3] = string.rep('1', count)
  else
    reply[3] = others().settle_all()
  end
end
local PARKED_KEYS, FREED, NEWER = prefix .. 'parked:keys', prefix .. 'parked:freed', prefix .. 'parked:newer'
local is_simple = call('EXISTS', delayed_key, prioritized_key, FREED, PARKED_KEYS, NEWER) == 0
local parks = false
local first_due = {}
if not is_simple then
  first_due = try('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
  if first_due.err then
    failing().pass_over(first_due)
  elseif first_due[2] and tonumber(first_due[2]) <= now_ms then
    seldom().unless_damaged(seldom().promote_due)
  end
  parks = call('EXISTS', FREED, PARKED_KEYS, NEWER) > 0
  if parks then
    seldom().unless_damaged(seldom().take_newer)
    seldom().unless_damaged(seldom().recheck_parked)
  end
end
if resend == '1' then
  slots = failing().reclaim_own(slots)
end
if limits ~= '' then
  slots = seldom().unless_damaged(seldom().paced, slots) or 0
end
local HEAD, PLAIN_FIELDS, MORE_TRIES = 4, 7, 1000
local sources = is_simple and { wait_key } or { prioritized_key, parks and FREED or wait_key, parks and wait_key or nil }
local all_plain, is_empty, is_trimmed = true, false, false
local count, size = 0, #reply
for s = 1, #sources do
  local source, tries = sources[s], slots + MORE_TRIES
  is_empty = false
  if source == FREED then
    seldom().try_freed()
  end
  while count < slots and tries > 0 and not is_empty do
    local wanted, ids = slots - count, nil
    if wanted > tries then
      wanted = tries
    end
    if source == prioritized_key then
      ids = others().pop_prioritized(wanted)
    else
      ids = try('RPOP', source, wanted == 1 and '1' or wanted) or {}
    end
    if ids.err then
      failing().pass_over(ids)
    end
    tries = tries - #ids
    is_empty = #ids == 0 or #ids < wanted and source == wait_key
    for i = 1, #ids do
      local id = ids[i]
      local job_key, fields = prefix .. id, nil
      if limits == '' and try('HLEN', job_key) == PLAIN_FIELDS then
        fields = call('HMGET', job_key, 'data', '_v', 'attempt', 'ts', 'state', 'priority', 'maxAttempts')
      end
      if fields and fields[1] and fields[2] and fields[3] == '1' and fields[4] and fields[5] == 'waiting' and fields[6]
        and fields[7] and (fields[2] == max_version or (tonumber(fields[2]) or 0) <= tonumber(max_version)) then
        if try('PSETEX', job_key .. ':lock', lease_ms, token).err then
          call('SET', job_key .. ':lock', token, 'PX', lease_ms)
        end
        call('HSET', job_key, 'state', 'active', 'processedOn', now)
        if is_trimmed then
          try('XADD', events_key, '*', 'event', 'active', 'jobId', id, 'attempt', '1')
        else
          is_trimmed = true
          try('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', 'active', 'jobId', id, 'attempt', '1')
        end
        count = count + 1
        started[count] = id
        reply[size + 1], reply[size + 2], reply[size + 3] = id, fields[1], fields[2]
        reply[size + 4], reply[size + 5] = '', fields[4]
        size = size + 5
      else
        all_plain = false
        others().start_or_set_aside(id, job_key, source)
        count, size = #started, #reply
      end
    end
  end
  if source == FREED then
    seldom().park_again()
  end
end
if count > 0 then
  local MOST = 4000
  local listed = count <= MOST and try('LPUSH', active_key, unpack(started)) or failing().list_many(started)
  if type(listed) ~= 'number' then
    failing().undo_claims(listed)
  end
end
if state.has_failed then
  failing().put_back(size > HEAD or reply[3] ~= '')
end
if limits ~= '' then
  seldom().count_starts()
end
if parks or state.moved_delayed then
  first_due = try('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
end
reply[2] = first_due[2] and tonumber(first_due[2]) or -1
local is_drained = is_simple and all_plain and is_empty
if not is_drained and call('EXISTS', wait_key, prioritized_key, FREED) > 0 then
  try('ZADD', marker_key, state.paced_until or '0', '0')
elseif reply[2] >= 0 then
  try('ZADD', marker_key, string.format('%.0f', reply[2]), '0')
end
reply[4] = state.links or ''
return reply
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = { [prefix .. 'wait'] = 'list', [prefix .. 'prioritized'] = 'zset', [prefix .. 'active'] = 'list', [prefix .. 'delayed'] = 'zset', [prefix .. 'completed'] = 'zset', [prefix .. 'failed'] = 'zset', [prefix .. 'cancelled'] = 'zset', [prefix .. 'expired'] = 'zset', [prefix .. 'stalled'] = 'set', [prefix .. 'marker'] = 'zset', [prefix .. 'events'] = 'stream', [prefix .. 'parked:count'] = 'string', [prefix .. 'parked:freed'] = 'list', [prefix .. 'parked:keys'] = 'zset', [prefix .. 'parked:newer'] = 'zset', [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="3682dda311f9acf8326fb84cfa7b6f44584eb770",
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
  if redis.pcall('GET', lock_key) == ARGV[i + 1] then
    redis.call('PEXPIRE', lock_key, lease_ms)
    redis.pcall('SREM', stalled_key, ARGV[i])
    state = redis.pcall('HEXISTS', job_key, 'cancelledAt') == 1 and -1 or 1
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
    sha="133954bc737fb3747c29d0d8186e477681aa1e83",
    text="""\
local function transition()
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
if listed == '1' then
  redis.call('ZADD', ended_workflows_key, 'NX', now, workflow_id)
end
redis.call('ZREM', running_workflows_key, workflow_id)
if announced > 0 then
  redis.call('HDEL', workflow_tries_key, workflow_id)
end
redis.call('ZREMRANGEBYSCORE', ended_workflows_key, '-inf', ms_text(now_ms - keep_ms))
redis.call('ZREMRANGEBYRANK', ended_workflows_key, 0, -max_items - 1)
return 1
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset', [KEYS[2]] = 'zset', [KEYS[3]] = 'hash' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="fa5a960740547893ca8ee96d8106b08f8141528c",
    text="""\
local function transition()
local prefix = KEYS[1]
local JOB_IDS = 1
local forgotten = 0
for i = JOB_IDS, #ARGV do
  forgotten = forgotten + redis.call('ZREM', prefix .. 'workflow:untold', ARGV[i])
end
return forgotten
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = {  }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="b171aee6a418d439b14b45c5a79d4bab1d6cbeb0",
    text="""\
local function transition()
local meta_key = KEYS[1]
local given_now_ms = ARGV[1]
local wire_version = ARGV[2]
local min_compat = ARGV[3]
local written_by = ARGV[4]
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'hash' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="df9fea7ded5eef3e1bfe833b87d296eaeee0ef45",
    text="""\
local function transition()
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
      if redis.pcall('HGET', prefix .. id, 'state') ~= state then
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
  local row = redis.pcall('HGETALL', prefix .. id)
  if #row > 0 then
    local reason = reason_of_record(id, row)
    table.insert(row, 1, id)
    table.insert(row, 2, reason)
    rows[#rows + 1] = row
  end
end
return { rows, rest }
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'list', [KEYS[4]] = 'zset', [KEYS[5]] = 'zset', [prefix .. 'parked:newer'] = 'zset', [prefix .. 'workers:about'] = 'hash', [prefix .. 'workers:beats'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="f33efa702f58dbec5e1a39c066fc6b57ee6f9feb",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = { [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="afe97bcc578a905bf0b60e4f2922e7bf890f6cc1",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[2]
local kinds = { [KEYS[1]] = 'zset', [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="07a8fd2d9c605343d8b68e7d6a81116eac204f3e",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end
local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
local NEWER = prefix .. 'parked:newer'
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
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
local pending = of_key(pending_key, redis.pcall('GET', pending_key))
if redis.call('EXISTS', prefix .. job_id) == 1 or (resend == '1' and recall(job_id)) then
  return { 3, tonumber(of_key(meta_key, redis.pcall('HGET', meta_key, 'count')) or '0') }
end
if of_key(items_key, redis.pcall('LLEN', items_key)) >= max_items then
  return { 2, max_items }
end
local count = of_key(meta_key, redis.pcall('HINCRBY', meta_key, 'count', 1))
redis.call('HSETNX', meta_key, 'firstAt', now)
local is_full = max_size > 0 and count >= max_size
local function due_of_batch()
  local due = now_ms + collect_ms
  local first_ms = max_wait_ms > 0 and tonumber(redis.call('HGET', meta_key, 'firstAt'))
  return first_ms and math.min(due, first_ms + max_wait_ms) or due
end
local function find_place()
  local waits = pending and redis.call('ZSCORE', delayed_key, pending)
  if is_full then
    push_ready(job_id, 0, now_ms)
  elseif waits or not is_due(pending) then
    redis.call('ZADD', delayed_key, ms_text(due_of_batch()), job_id)
  end
  return waits
end
local has_place, waits = pcall(find_place)
if not has_place then
  if redis.call('HINCRBY', meta_key, 'count', -1) <= 0 then
    redis.call('DEL', meta_key)
  end
  error(waits)
end
redis.call('RPUSH', items_key, item)
redis.call('HSET', meta_key, 'lastAt', now)
remember(job_id, '1')
if waits then
  redis.call('ZREM', delayed_key, pending)
  redis.call('DEL', prefix .. pending)
  redis.pcall('ZREM', NEWER, pending)
elseif is_due(pending) and not is_full then
  return { 0, count }
end
local record = { 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts }
if is_full then
  redis.call('HSET', prefix .. job_id, 'state', 'waiting', 'priority', '0', 'data', take_items(collect_key),
    unpack(record))
  wake_now()
  emit('waiting', job_id)
  return { 1, count }
end
redis.call('HSET', prefix .. job_id, 'state', 'delayed', 'collectKey', collect_key, 'data', '[]', unpack(record))
wake_at(due_of_batch())
redis.call('SET', pending_key, job_id, 'PX', ms_text(math.max(1, 2 * math.max(collect_ms, max_wait_ms))))
emit('collect', job_id, 'count', string.format('%d', count), 'key', collect_key)
return { 0, count }
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream', [prefix .. 'parked:newer'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="9c2e8ef0b28cd6b6c14d511674182f7aa413a5ed",
    text="""\
local prefix = KEYS[1]
local collect_key = ARGV[1]
local function collect_keys(collect_key)
  local base = prefix .. 'collect:' .. collect_key
  return base .. ':items', base .. ':meta', base .. ':job'
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
    sha="493a18d637f1cca49e98fb1bf7d04a11d7f18c17",
    text="""\
local function transition()
local schedules_next_key = KEYS[1]
local given_now_ms = ARGV[1]
local NAMES = 2
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="9369e55a748f34602260c05854a12e21c7deb734",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = { [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="fe6ad034544ca61c10d92b9578ea61cab830ff04",
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
    sha="1667ae2a9683cff897e0817e42979f42d5e31b03",
    text="""\
local workflow_key = KEYS[1]
local given_now_ms = ARGV[1]
local FIELDS = 2
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
    sha="98d146f463e47f20d707213cedf6b3f9886713c6",
    text="""\
local function transition()
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
local function count_of(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or 0
end
local is_trimmed = false
local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end
local PARKED_KEYS = prefix .. 'parked:keys'
local FREED = prefix .. 'parked:freed'
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
end
local PARKED_COUNT = prefix .. 'parked:count'
local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if of_key(key, redis.pcall('ZREM', key, id)) == 0 then
    return false
  end
  local left = redis.pcall('DECR', PARKED_COUNT)
  if type(left) == 'number' and left <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.pcall('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end
local function move_to_ready(id)
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
end
local function free_next(concurrency_key)
  local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)
  return first[1] and pcall(move_to_ready, first[1]) and unpark(first[1], concurrency_key) or false
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
  if redis.pcall('INCRBY', counter, amount) == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
local UNTOLD = prefix .. 'workflow:untold'
local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
local function forget_end(id)
  redis.pcall('ZREM', UNTOLD, id)
end
local function list_ended(set_key, id, workflow_id)
  note_end(id, workflow_id)
  local listed = redis.pcall('ZADD', set_key, now, id)
  if type(listed) == 'table' then
    forget_end(id)
    error(listed)
  end
end
local ERROR_TEXT = 'Job stalled and exceeded max stalled count'
local recovered, failed, cancelled = {}, {}, {}
local function end_as(state, set_key, id, job_key, fields, ...)
  list_ended(set_key, id, fields[9])
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now, ...)
  release_dedup(fields[3], id)
end
local function cancel(id, job_key, fields)
  end_as('cancelled', cancelled_key, id, job_key, fields)
  emit('cancelled', id, 'reason', fields[7] or '')
  cancelled[#cancelled + 1] = id
end
local function fail(id, job_key, fields, count)
  end_as('failed', failed_key, id, job_key, fields, 'error', ERROR_TEXT, 'stalledCount', count)
  emit('stalled', id, 'count', count, 'action', 'failed')
  emit('failed', id, 'attempt', fields[6] or '0', 'error', ERROR_TEXT)
  failed[#failed + 1] = id
end
local function requeue(id, job_key, fields, count)
  push_ready(id, tonumber(fields[4] or '0') or 0, tonumber(fields[5] or now) or now_ms)
  redis.call('HSET', job_key, 'state', 'waiting', 'stalledCount', count)
  wake_now()
  emit('stalled', id, 'count', count, 'action', 'recovered')
  recovered[#recovered + 1] = id
end
local function recover(id)
  local job_key = prefix .. id
  redis.call('SREM', stalled_key, id)
  local fields = fields_of(job_key, 'cancelledAt', 'concurrencyKey', 'dedupKey', 'priority', 'ts',
    'attempt', 'cancelReason', 'state', '_wf', 'stalledCount')
  local count = count_of(fields[10]) + 1
  if not fields[8] then
    redis.call('LREM', active_key, -1, id)
    return
  end
  if fields[1] then
    cancel(id, job_key, fields)
  elseif count > max_count then
    fail(id, job_key, fields, string.format('%d', count))
  else
    requeue(id, job_key, fields, string.format('%d', count))
  end
  redis.call('LREM', active_key, -1, id)
  if release_concurrency(fields[2]) then
    wake_now()
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
  local counted = count_every_ms > 0 and redis.pcall('GET', COUNTED)
  local counted_ms = type(counted) == 'string' and tonumber(counted)
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
    local counted = count_of(counters[i])
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[9]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'list', [KEYS[4]] = 'zset', [KEYS[5]] = 'zset', [KEYS[6]] = 'set', [KEYS[7]] = 'zset', [KEYS[8]] = 'stream', [prefix .. 'parked:count'] = 'string', [prefix .. 'parked:freed'] = 'list', [prefix .. 'parked:keys'] = 'zset', [prefix .. 'parked:learnt'] = 'hash', [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="daebca47af765709a7442ade3812f3b960958fea",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset', [KEYS[2]] = 'zset', [KEYS[3]] = 'hash' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="d6838c825211d106c63b27669e60988ebd87e4e0",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[2]
local kinds = { [KEYS[1]] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="86d2e2d9d176bf541d42b281eddcb6d1720d2043",
    text="""\
local function transition()
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
  local reply
  if kind == 'progress' then
    reply = redis.pcall('HSET', job_key, 'progress', payload)
    emit('progress', id, 'value', payload)
  else
    reply = redis.pcall('RPUSH', job_key .. ':logs', payload)
    if type(reply) == 'number' then
      redis.call('LTRIM', job_key .. ':logs', -LOG_LIMIT, -1)
    end
  end
  return type(reply) == 'table' and reply
end
local written = {}
local refusal = nil
for i = ENTRIES, #ARGV, 4 do
  local job_key = prefix .. ARGV[i + 1]
  local held = redis.pcall('GET', job_key .. ':lock') == ARGV[i + 2]
  if held then
    refusal = write(ARGV[i], ARGV[i + 1], job_key, ARGV[i + 3]) or refusal
  end
  written[#written + 1] = held and 1 or 0
end
if refusal then
  error(refusal)
end
return written
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[2]
local kinds = { [KEYS[1]] = 'stream' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="957b505934a358dc15c431b51591d2e96cad9df2",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[1]
local kinds = {  }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="1d22b3501345462dd4560b075250d1904b5665a0",
    text="""\
local function transition()
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
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end
local UNTOLD = prefix .. 'workflow:untold'
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
local refusal = nil
local function revive(id, fields)
  local ended_ms = not refusal and redis.call('ZSCORE', failed_key, id)
  local size = redis.pcall('HLEN', prefix .. id)
  if not ended_ms or type(size) == 'table' then
    return false
  end
  redis.call('ZREM', failed_key, id)
  if size == 0 then
    return false
  end
  local is_ready, why = pcall(push_ready, id, tonumber(fields[3] or '0') or 0, now_ms)
  if not is_ready then
    redis.call('ZADD', failed_key, ended_ms, id)
    refusal = why
  end
  return is_ready
end
local revived, steps = {}, {}
for _, id in ipairs(ids) do
  local job_key = prefix .. id
  local fields = fields_of(job_key, '_wf', 'py:try', 'priority')
  local link, lived_in = fields[1], fields[2]
  if workflow_try < 0 and link and link ~= '' then
    if redis.call('ZSCORE', failed_key, id) then
      steps[#steps + 1] = id
    end
  elseif is_due(lived_in) and revive(id, fields) then
    redis.call('HDEL', job_key, 'error', 'finishedOn', 'result', 'cancelledAt', 'cancelReason', 'stalledCount',
      'expireAt')
    redis.call('HSET', job_key, 'state', 'waiting', 'attempt', '1', 'ts', now)
    if workflow_try > 0 then
      redis.call('HSET', job_key, 'py:try', string.format('%d', workflow_try))
    end
    emit('waiting', id)
    redis.pcall('ZREM', UNTOLD, id)
    revived[#revived + 1] = id
  end
end
if #revived > 0 then
  wake_now()
end
if refusal then
  error(refusal)
end
if request ~= '' then
  remember(request, table.concat(revived, ' ') .. '|' .. table.concat(steps, ' '))
end
return { revived, steps }
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local prefix = KEYS[6]
local kinds = { [KEYS[1]] = 'list', [KEYS[2]] = 'zset', [KEYS[3]] = 'zset', [KEYS[4]] = 'zset', [KEYS[5]] = 'stream', [prefix .. 'workflow:untold'] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="405284210144bfba5f4278b7009dfe10c1e1801f",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'zset' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="d37635ad4295b4407764fe511345c3a6d02a44c5",
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
    sha="3e8c6071439ea6c538f1dd8a99c0dc3b1ea22d82",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'stream' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
    sha="5452ae32792a381a9b7cab62abf0617933f69635",
    text="""\
local function transition()
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
end
local is_done, reply = pcall(transition)
if is_done then
  return reply
end
local kinds = { [KEYS[1]] = 'hash' }
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
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
