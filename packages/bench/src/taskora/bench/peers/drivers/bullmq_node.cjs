// BullMQ on Node: the original, for orientation. The scenarios of _harness.py again, in the language of the library.
// Settings: defaults, `addBulk`, `concurrency`. https://docs.bullmq.io

const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { Queue, Worker } = require("bullmq");

const [scenario, url, limit] = process.argv.slice(2);
const seconds = Number(limit);
const { hostname: host, port } = new URL(url);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const queue = new Queue("bench", { connection });
const now = () => performance.now() / 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const arrivals = { count: 0, latest: 0, awaited: -1, resolve: () => {} };

function arrive() {
  arrivals.latest = now();
  arrivals.count += 1;
  if (arrivals.count === arrivals.awaited) arrivals.resolve(true);
}

function reach(count, within) {
  if (arrivals.count >= count) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), within * 1000);
    arrivals.awaited = count;
    arrivals.resolve = (value) => (clearTimeout(timer), resolve(value));
  });
}

function info() {
  return new Promise((resolve, reject) => {
    let text = "";
    const client = net.connect(Number(port), host, () => client.write("INFO\r\nQUIT\r\n"));
    client.on("data", (part) => (text += part)).on("error", reject);
    client.on("close", () => resolve(Object.fromEntries(text.split("\r\n").map((line) => line.split(":")))));
  });
}

// Jobs go on while the server is asked, so everything else is read after its answer.
async function sample(count = () => arrivals.count) {
  const counters = await info();
  const at = now();
  const { user, system } = process.cpuUsage();
  const server = (Number(counters.used_cpu_user) + Number(counters.used_cpu_sys)) * 1e6;
  return { count: count(), at, client: user + system, server, memory: Number(counters.used_memory) };
}

function spent(before, after) {
  return Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]));
}

const add = async (n) => (await queue.add("noop", { n }), 1);
const addBulk = async (n) =>
  (await queue.addBulk(Array.from({ length: 50 }, (_, i) => ({ name: "noop", data: { n: n + i } })))).length;

async function enqueueFor(enqueue, time, most = Infinity) {
  const deadline = now() + time;
  let count = 0;
  while (count < most && now() < deadline) count += await enqueue(count);
  return count;
}

function startWorker(concurrency) {
  new Worker("bench", async (job) => (arrive(), job.data.n), { connection, concurrency });
}

async function enqueueScenario(enqueue) {
  await enqueueFor(enqueue, seconds / 10);
  const before = await sample(() => 0);
  const count = await enqueueFor(enqueue, seconds);
  return spent(before, await sample(() => count));
}

async function drain(concurrency) {
  const filled = (await add(0)) + (await enqueueFor(addBulk, seconds, 40000));
  startWorker(concurrency);
  const warmUp = 10 + 2 * concurrency;
  if (!(await reach(warmUp, 15))) throw new Error(`${arrivals.count} of ${filled} jobs ran within 15 seconds`);
  const before = await sample();
  await reach(filled, seconds);
  return spent(before, await sample());
}

async function latencies(time) {
  const deadline = now() + time;
  const samples = [];
  while (samples.length < 2 || now() < deadline) {
    const started = now();
    await add(arrivals.count);
    if (!(await reach(samples.length + 1 + latencies.before, 15))) throw new Error("a job did not start");
    samples.push((arrivals.latest - started) * 1000);
    await sleep(1 + Math.random() * 19);
  }
  latencies.before = arrivals.count;
  return samples.sort((a, b) => a - b);
}
latencies.before = 0;

const scenarios = {
  async enqueue() {
    const { count, at, server, client, memory } = await enqueueScenario(add);
    return {
      enqueue: count / at,
      bytes_per_job: memory / count,
      server_us_enqueue: server / count,
      client_us_enqueue: client / count,
    };
  },
  async enqueue_bulk() {
    const { count, at, server } = await enqueueScenario(addBulk);
    return { enqueue_bulk: count / at, server_us_bulk: server / count };
  },
  async process_1() {
    const { count, at } = await drain(1);
    return { process_1: count / at };
  },
  async process_100() {
    const { count, at, server, client } = await drain(100);
    return { process_100: count / at, server_us_process: server / count, client_us_process: client / count };
  },
  async latency() {
    startWorker(10);
    await latencies(seconds / 10);
    const samples = await latencies(seconds);
    const cut = (share) => samples[Math.round((samples.length - 1) * share)];
    const [latency_p50, latency_p95, latency_p99] = [cut(0.5), cut(0.95), cut(0.99)];
    return { latency_p50, latency_p95, latency_p99, rss_mb: process.memoryUsage().rss / 1e6 };
  },
};

async function main() {
  await queue.waitUntilReady();
  const figures = await scenarios[scenario]();
  const file = path.join(process.env.NODE_PATH, "bullmq", "package.json");
  const { version } = JSON.parse(fs.readFileSync(file, "utf8"));
  const settings = `defaults; bulk: \`addBulk\`; Node ${process.versions.node}`;
  fs.writeSync(1, JSON.stringify({ version, settings, figures }) + "\n");
  process.exit(0);
}

main().catch((error) => (console.error(error.message), process.exit(1)));
