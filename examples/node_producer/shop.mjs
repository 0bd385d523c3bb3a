// A shop in Node. What it stores emits by triggers, in its own transactions (tables.sql); what it does not store in this
// database it emits over HTTP (api.mjs). `node shop.mjs --create-tables` creates the tables; README.md says how to run it.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import pg from "pg";
import { emit } from "./api.mjs";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });

class Refused extends Error {}

async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

const create = ({ number, total }) =>
  inTransaction(async (client) => {
    const sql = "insert into shop_invoices (number, total) values ($1, $2) returning id";
    return (await client.query(sql, [number, total])).rows[0];
  });

const pay = (id) =>
  inTransaction(async (client) => {
    const sql = "update shop_invoices set status = 'paid' where id = $1 and status = 'open' returning status, total";
    const invoice = (await client.query(sql, [id])).rows[0];
    if (invoice === undefined) throw new Refused("There is no such open invoice");
    await client.query("insert into shop_payments (invoice_id) values ($1)", [id]);
    // Too late, and so neither the payment nor its event is there.
    if (Number(invoice.total) > 1_000_000) throw new Refused("The total is too large");
    return { status: invoice.status };
  });

// The files lie elsewhere. With the caller's key, its retries are one event.
const emptyInbox = ({ count }, key) =>
  emit("applecorp", "inbox_file_removed_all", { inbox_files: { count } }, key ?? randomUUID());

async function answer(request) {
  const [, first, id, second] = request.url.split("/");
  if (request.method !== "POST") return [404, {}];
  if (first === "invoices" && id === undefined) return [201, await create(await json(request))];
  if (first === "invoices" && second === "payment") return [201, await pay(Number(id))];
  if (first === "inbox") return [202, await emptyInbox(await json(request), request.headers["idempotency-key"])];
  return [404, {}];
}

if (process.argv.includes("--create-tables")) {
  await pool.query(readFileSync("tables.sql", "utf8"));
  await pool.end();
} else {
  createServer(async (request, response) => {
    const [status, body] = await answer(request).catch((error) => {
      if (!(error instanceof Refused)) console.error(error);
      return [error instanceof Refused ? 422 : 500, { error: error.message }];
    });
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  }).listen(process.env.SHOP_PORT ?? 8300, "127.0.0.1");
}
