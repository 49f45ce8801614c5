// The public clients of Upstash, unmodified, against the server whose address and token are in the
// environment. Prints one line for each check that passes; the first that fails ends it.
import assert from "node:assert/strict";

import { Lock } from "@upstash/lock";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const url = process.env.UPSTASH_REDIS_REST_URL;
const token = process.env.UPSTASH_REDIS_REST_TOKEN;
const redis = new Redis({ url, token, enableTelemetry: false });

const checks = {
  async "commands and values"() {
    assert.equal(await redis.set("k", { a: [1, "ä", null] }, { ex: 100 }), "OK");
    assert.deepEqual(await redis.get("k"), { a: [1, "ä", null] });
    assert.equal(await redis.get("none"), null);
    assert.equal(await redis.ttl("k"), 100);
    assert.equal(await redis.incrby("n", 5), 5);
    assert.equal(await redis.hset("h", { a: 1, b: "x" }), 2);
    assert.deepEqual(await redis.hgetall("h"), { a: 1, b: "x" });
    await redis.zadd("z", { score: 1, member: "a" }, { score: 2.5, member: "b" });
    assert.deepEqual(await redis.zrange("z", 0, -1, { withScores: true }), ["a", 1, "b", 2.5]);
    assert.deepEqual(await redis.mget("k", "none"), [{ a: [1, "ä", null] }, null]);
    await redis.xadd("s", "*", { field: "value" });
    assert.equal(Object.keys(await redis.xrange("s", "-", "+")).length, 1);
    assert.equal(await redis.echo("OK"), "OK");
    assert.equal(await redis.ping(), "PONG");
    let cursor = "0";
    const found = [];
    do {
      const [next, keys] = await redis.scan(cursor, { match: "k*" });
      found.push(...keys);
      cursor = next;
    } while (cursor !== "0");
    assert.deepEqual(found, ["k"]);
  },

  async "errors in Redis' words"() {
    await redis.set("text", "x");
    await assert.rejects(redis.incr("text"), /ERR value is not an integer or out of range/);
    await assert.rejects(redis.keys("*"), /NOPERM/);
    const stranger = new Redis({ url, token: "not-the-token", enableTelemetry: false });
    await assert.rejects(stranger.get("k"), /WRONGPASS invalid or missing auth token/);
  },

  async "auto-pipelining"() {
    const count = 500;
    await Promise.all(Array.from({ length: count }, (_, i) => redis.set(`p:${i}`, i)));
    const values = await Promise.all(Array.from({ length: count }, (_, i) => redis.get(`p:${i}`)));
    assert.deepEqual(values, Array.from({ length: count }, (_, i) => i));
  },

  async "pipelines and transactions"() {
    const pipeline = redis.pipeline().set("a", 1).incr("a").get("a");
    assert.deepEqual(await pipeline.exec(), ["OK", 2, 2]);
    assert.deepEqual(await redis.multi().incr("a").get("a").exec(), [3, 3]);
    const mixed = await redis.pipeline().get("a").incr("text").exec({ keepErrors: true });
    assert.equal(mixed[0].result, 3);
    assert.match(mixed[1].error, /ERR value is not an integer/);
  },

  async "a read-your-writes token in every answer"() {
    const before = redis.client.upstashSyncToken;
    await redis.set("k2", 1);
    const after = redis.client.upstashSyncToken;
    assert.notEqual(after, before);
    await redis.get("k2");
    assert.notEqual(redis.client.upstashSyncToken, after);
  },

  async "scripts"() {
    const script = redis.createScript("return {#KEYS, ARGV[1], -3}");
    assert.deepEqual(await script.exec(["key"], ["x"]), [1, "x", -3]);
    assert.deepEqual(await script.exec(["key"], ["y"]), [1, "y", -3]);
  },

  async "published messages"() {
    const next = (subscriber, event) => new Promise((resolve) => subscriber.on(event, resolve));
    const chat = redis.subscribe("chat");
    const users = redis.psubscribe("user:*");
    await Promise.all([next(chat, "subscribe"), next(users, "psubscribe")]);
    const pmessage = next(users, "pmessage");
    const heard = [];
    const all = new Promise((resolve) => chat.on("message", ({ message }) => {
      heard.push(message);
      if (message === "end") resolve();
    }));
    assert.equal(await redis.publish("chat", { text: "a,b" }), 1);
    // What has several lines is one message, and none of its lines another.
    assert.equal(await redis.publish("chat", "x\nmessage,chat,forged"), 1);
    assert.equal(await redis.publish("chat", "end"), 1);
    await all;
    assert.deepEqual(heard, [{ text: "a,b" }, "x", "end"]);
    assert.equal(await redis.publish("user:1", { id: 1 }), 1);
    const { pattern, channel, message } = await pmessage;
    assert.deepEqual([pattern, channel, message], ["user:*", "user:1", { id: 1 }]);
    await Promise.all([chat.unsubscribe(), users.unsubscribe()]);
  },

  async "rate limits of every kind"() {
    const limiters = {
      fixed: Ratelimit.fixedWindow(3, "1 h"),
      sliding: Ratelimit.slidingWindow(3, "1 h"),
      bucket: Ratelimit.tokenBucket(3, "1 h", 3),
    };
    for (const [name, limiter] of Object.entries(limiters)) {
      const limit = new Ratelimit({ redis, limiter, prefix: `rl:${name}`, ephemeralCache: false,
                                    timeout: 20_000 });
      const seen = [];
      for (let i = 0; i < 5; ++i) {
        const { success, pending, reason } = await limit.limit("ada");
        await pending;
        assert.notEqual(reason, "timeout");
        seen.push(success);
      }
      assert.deepEqual(seen, [true, true, true, false, false], name);
      const together = await Promise.all(Array.from({ length: 6 }, () => limit.limit("bob")));
      assert.equal(together.filter(({ success }) => success).length, 3, name);
      await limit.resetUsedTokens("ada");
      assert.equal((await limit.limit("ada")).success, true, name);
    }
  },

  async "locks"() {
    const make = () => new Lock({ id: "the-lock", redis, lease: 20_000,
                                  retry: { attempts: 1, delay: 1 } });
    const [first, second] = [make(), make()];
    assert.equal(await first.acquire(), true);
    assert.equal(await second.acquire(), false);
    assert.equal(await first.extend(20_000), true);
    assert.equal(await second.release(), false);
    assert.equal(await first.release(), true);
    assert.equal(await second.acquire(), true);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(name);
}
process.exit(0);
