// A judge in another language: contracts/openapi/judge.v1.json answered by Node alone, without a package.
// `node judge.mjs` listens on HOST, PORT. It counts sentences, which is no measure of quality and is said so in /info.
import { createServer } from "node:http";

const INFO = {
  contract: "judge/1.1.0", implementation: "node", version: "1", model: null, revision: null,
  description: "Counts the sentences of a response. No model, no measure of quality.",
};
const RUBRIC = {
  name: "sentences", version: "1", languages: ["en"], compat: null,
  aspects: [{ name: "sentences", description: "1: none is ended. 5: four or more are." }],
};
const MOST_BYTES = 64 * 2 ** 20;

/** A score and the reason for it, or the cause why there is none and what happened. */
function score(response) {
  if (!response.trim()) return { unscored: { cause: "not_applicable", detail: "the response is empty" } };
  const count = (response.match(/[.!?…。！？]+/gu) ?? []).length;
  return { score: Math.min(5, 1 + count), rationale: `${count} sentences are ended` };
}

// --- The contract: what is asked, how it is answered. The limits are those of the OpenAPI document. ---

class Problem extends Error {
  constructor(status, kind, detail, errors = []) { super(detail); Object.assign(this, { status, kind, errors }); }
}

const text = (least, most, pattern = /^[^\0]*$/) => (value) =>
  typeof value === "string" && [...value].length >= least && [...value].length <= most && pattern.test(value);
const LANGUAGE = text(2, 3, /^[a-z]{2,3}$/);
const ASKED = { id: text(1, 200), instruction: text(0, 200_000), language: LANGUAGE };
const ANSWER = text(0, 400_000);
const OPTIONAL = { reference: (value) => value === null || ANSWER(value) };
const LANGUAGES = { rubric_language: (value) => ["en", "response"].includes(value) }; // of rubrics in words
const ORDERS = { both_orders: (value) => typeof value === "boolean" };

/** Every fault of `value`: what is missing, unknown or not as it must be. */
function faults(value, needed, optional, place) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [{ place, message: "must be an object" }];
  const known = { ...needed, ...optional };
  const missing = Object.keys(needed).filter((key) => !Object.hasOwn(value, key)).map((key) => [key, "is missing"]);
  const wrong = Object.keys(value).flatMap((key) =>
    !Object.hasOwn(known, key) ? [[key, "is not known"]] : known[key](value[key]) ? [] : [[key, "is not as the contract says"]]);
  return [...missing, ...wrong].map(([key, message]) => ({ place: `${place}.${key}`, message }));
}

function checked(body, answers, settings) {
  const list = (value) => Array.isArray(value) && value.length >= 1 && value.length <= 64;
  let found = faults(body, { rubric: text(1, 100), items: list }, settings, "body");
  if (!found.length) found = body.items.flatMap((item, at) => faults(item, { ...ASKED, ...answers }, OPTIONAL, `body.items.${at}`));
  if (found.length) throw new Problem(422, "invalid-request", `${found[0].place} ${found[0].message}`, found);
  if (body.rubric !== RUBRIC.name) throw new Problem(422, "unknown-rubric", `There is no rubric ${body.rubric}; there is ${RUBRIC.name}.`);
  return body.items;
}

function judge(body) {
  const judgments = checked(body, { response: ANSWER }, LANGUAGES).map((item) => {
    const empty = { score: null, stated: null, rationale: null, confidence: null, unscored: null };
    return { id: item.id, scores: [{ aspect: "sentences", ...empty, ...score(item.response) }], raw_reply: null, repair: null };
  });
  return { judgments, compat: null, rubric: RUBRIC.name, rubric_version: RUBRIC.version };
}

function compare(body) {
  const comparisons = checked(body, { response_a: ANSWER, response_b: ANSWER }, { ...LANGUAGES, ...ORDERS }).map((pair) => {
    const [a, b] = [score(pair.response_a), score(pair.response_b)];
    const unscored = a.unscored ?? b.unscored ?? null;
    const verdict = unscored ? "unscored" : a.score === b.score ? "tie" : a.score > b.score ? "a" : "b";
    return { id: pair.id, verdict, rationale: unscored ? null : `a ${a.score}, b ${b.score}`, unscored, orders: [] };
  });
  return { comparisons, order_effect: null, rubric: RUBRIC.name, rubric_version: RUBRIC.version };
}

const ok = () => ({ status: "ok" });
const ROUTES = {
  "/v1/judgments": ["POST", judge], "/v1/comparisons": ["POST", compare], "/v1/rubrics": ["GET", () => ({ rubrics: [RUBRIC] })],
  "/info": ["GET", () => INFO], "/livez": ["GET", ok], "/readyz": ["GET", ok],
};

async function answer(request) {
  const [method, handle] = ROUTES[new URL(request.url, "http://judge").pathname] ?? [];
  if (!handle) throw new Problem(404, "http-404", "There is nothing at this path.");
  if (request.method !== method) throw new Problem(405, "http-405", `Use ${method}.`);
  return handle(method === "POST" ? await read(request) : null);
}

async function read(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    if ((bytes += chunk.length) > MOST_BYTES) throw new Problem(413, "too-large", `The request is larger than ${MOST_BYTES} bytes.`);
    chunks.push(chunk);
  }
  try { return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks))); }
  catch (error) { throw new Problem(422, "invalid-request", `The body is no JSON: ${error.message}`); }
}

createServer(async (request, response) => {
  let [status, type, body, allow] = [200, "application/json"];
  try { body = await answer(request); } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    const problem = error instanceof Problem ? error : new Problem(500, "internal", "The judge failed; see its log.");
    [status, type] = [problem.status, "application/problem+json"];
    if (status === 405) allow = { Allow: problem.message.slice(4, -1) };
    body = { type: `urn:plumbline:problem:${problem.kind}`, title: problem.kind, status, detail: problem.message, instance: null, errors: problem.errors };
  }
  response.writeHead(status, { "Content-Type": type, ...allow }).end(JSON.stringify(body));
}).listen(Number(process.env.PORT ?? 9005), process.env.HOST ?? "127.0.0.1");
