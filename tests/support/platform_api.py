"""The embedded platform behind an HTTP API, for the http adapter's specs: platform_api.py SOCKET TENANT KEY BUILD FAULTS LOG MATRIX.

SOCKET is the embedded server's directory, TENANT the code of the tenant that KEY belongs to, FAULTS a JSON file {"POST /forecasts":
["drop_after", …], …} of what goes wrong with the first, second, … request of that kind, LOG gets a line a request, MATRIX are the
platform's locked travel times. Its port goes to descriptor 3.

Faults before the work: an HTTP status ("503"), "drop" (the connection is cut). After it: "drop_after" (done, but the answer is lost),
"garbage" (an answer that is no JSON), "lie" (an answer that is wrong in the way that WRONG has for this request), "other_id",
"other_tenant", "other_forecast", "other_hash" (an answer about something else), "other_audit", "two_audits" (another result of one, in place of the right
one or beside it). Before it: "pretend" (nothing is locked, and the answer says so nevertheless). Of POST
/plans/solve also "wander" (a legal plan, and not the one that its seed gives), "again" (the plan that was made last, once more) and
"forget" (one that is made for the forecast and seed of the first one).
"""
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

SOCKET, TENANT, KEY, BUILD, FAULTS, LOG, MATRIX = sys.argv[1:8]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENV = dict(os.environ, LUA_PATH="%s/stdlib/?.lua;%s/stdlib/?/init.lua" % (ROOT, ROOT), LUA_CPATH="%s/modules/?.so" % BUILD)

guard = threading.Lock()
faults = json.load(open(FAULTS))
answers = {}  # by idempotency key: an event, then (status, body)
plans = {}    # by this API's plan id: what is known of it
first_question = {}
log = open(LOG, "a", buffering=1)
matrix = open(MATRIX, "rb").read()
pack_of = {}  # by forecast


def step(**question):
    run = subprocess.run(["lua5.4", os.path.join(ROOT, "tests/support/platform_step.lua")], input=json.dumps(question), text=True,
                         capture_output=True, env=ENV)
    if run.returncode != 0:
        raise Refused(422, run.stderr.strip())
    return json.loads(run.stdout)


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def sql(statement, *args):
    """One statement in a transaction of its own, as the application, for the tenant."""
    with psycopg.connect(host=SOCKET, user="app_user", dbname="platform") as conn:
        try:
            conn.execute("select set_config('app.current_tenant_id', %s, true)", (tenant_id,))
            cursor = conn.execute(statement, args)
            return cursor.fetchall() if cursor.description else cursor.rowcount
        except psycopg.Error as e:
            status = {"PL404": 404, "PL409": 409, "PL423": 423}.get(e.sqlstate, 500)
            raise Refused(status, e.diag.message_primary or str(e))


def instances_of(forecast):
    if pack_of[forecast] == "routing":
        return sql(scenario.replace("$1", "%s").replace("$2", "%s"), tenant_id, forecast)[0][0]
    return sql("select coalesce(jsonb_agg(jsonb_build_object('id', id, 'day', day, 'start_min', start_min, 'end_min', end_min,"
               " 'depot', depot, 'skill', skill, 'split_group', split_group) order by id collate \"C\"), '[]') from public.tour_instances"
               " where forecast_version_id = %s::uuid", forecast)[0][0]


def post_forecasts(body):
    pack = body["pack"]
    if pack == "routing" and body["matrix"]["sha256"] != hashlib.sha256(matrix).hexdigest():
        raise Refused(422, "the platform does not hold the matrix " + body["matrix"]["version"])
    work = step(op="prepare", pack=pack, source=body["source"], text=body["text"], matrix=matrix.decode())
    forecast = sql("select platform.create_forecast(%s::uuid, %s, %s::jsonb, %s::jsonb, %s, %s, %s)::text", tenant_id, body["source"],
                   json.dumps(work["lines"]), json.dumps(work["templates"]), work["input_hash"], work["parser_config_hash"],
                   body.get("week"))[0][0]
    pack_of[forecast] = pack
    sql("select platform.expand_forecast(%s::uuid, %s::uuid, %s::jsonb)", tenant_id, forecast, json.dumps(work["instances"]))
    return 201, {"id": forecast, "tenant": TENANT, "input_hash": work["input_hash"]}


def get_forecast(forecast):
    found = sql("select status, input_hash from public.forecast_versions where id = %s::uuid", forecast)
    if not found:
        raise Refused(404, "no such forecast")
    return 200, {"id": forecast, "tenant": TENANT, "status": found[0][0], "input_hash": found[0][1], "instances": instances_of(forecast)}


def swap_names(answer):
    """The same plan with the first and the last driver in each other's place."""
    names = sorted({a["driver_id"] for a in answer["assignments"]})
    other = {names[0]: names[-1], names[-1]: names[0]}
    for a in answer["assignments"]:
        a["driver_id"] = other.get(a["driver_id"], a["driver_id"])


def make_plan(plan, body, fault):
    try:
        forecast, seed, config = body["forecast_id"], body["seed"], body.get("config")
        with guard:
            first = first_question.setdefault("", (forecast, seed))
        plan["forecast"] = forecast
        if fault == "forget":
            forecast, seed = first
        instances, pack = instances_of(forecast), pack_of[forecast]
        known = dict(pack=pack, instances=instances, seed=seed, config=config, matrix=matrix.decode())
        request = step(op="request", **known)
        answer = json.loads(subprocess.run(["%s/%s-solver" % (BUILD, pack)], input=json.dumps(request), text=True,
                                           capture_output=True).stdout)
        if "error" in answer:
            raise Refused(422, answer["error"]["message"])
        if fault == "wander":
            swap_names(answer)
        judged = step(op="judge", answer=answer, **known)
        stored = sql("select platform.store_plan(%s::uuid, %s::uuid, %s::bigint, %s, %s, %s::jsonb)::text", tenant_id, forecast, seed,
                     judged["solver_config_hash"], judged["output_hash"], json.dumps(judged["assignments"]))[0][0]
        for audit in judged["audits"]:
            sql("select platform.record_audit(%s::uuid, %s::uuid, %s, %s, '{}'::jsonb)", tenant_id, stored, audit["id"], audit["status"])
        told = ("solver", "drivers", "lower_bound", "feasible", "distance_m", "unassigned")
        plan.update(stored=stored, told={key: answer[key] for key in told if key in answer}, audits=judged["audits"], status="DRAFT")
    except Refused as e:
        plan.update(status="FAILED", error={"code": "infeasible", "message": str(e)})


def post_solve(body, fault="none"):
    if fault == "again" and plans:
        return 202, {"id": list(plans)[-1], "status": "RUNNING"}
    plan = {"id": uuid.uuid4().hex, "status": "RUNNING"}
    plans[plan["id"]] = plan
    threading.Thread(target=make_plan, args=(plan, body, fault)).start()
    return 202, {"id": plan["id"], "status": "RUNNING"}


def known(plan_id):
    if plan_id not in plans:
        raise Refused(404, "no such plan")
    return plans[plan_id]


def get_plans(query):
    asked = dict(part.split("=", 1) for part in query.split("&"))
    if asked["status"] != "LOCKED":
        raise Refused(400, "expected status=LOCKED")
    # Of a week that was planned again the last lock counts.
    rows = sql("select distinct on (f.week) f.week, p.id::text, f.id::text from public.plan_versions p join public.forecast_versions f"
               " on f.tenant_id = p.tenant_id and f.id = p.forecast_version_id where p.pack_id = 'roster' and p.status = 'LOCKED'"
               " and f.week collate \"C\" < %s order by f.week desc, p.locked_at desc, p.id limit %s", asked["before"], int(asked["limit"]))
    for _, stored, forecast in rows:
        pack_of.setdefault(forecast, "roster")
        if not any(plan.get("stored") == stored for plan in plans.values()):
            plans[uuid.uuid4().hex] = {"stored": stored, "forecast": forecast, "status": "LOCKED", "told": {}, "audits": []}
    name = {plan["stored"]: plan_id for plan_id, plan in plans.items() if "stored" in plan}
    return 200, {"plans": [{"id": name[stored], "week": week, "forecast_id": forecast} for week, stored, forecast in rows]}


def get_plan(plan_id):
    plan = known(plan_id)
    return 200, {key: plan[key] for key in ("id", "status", "error") if key in plan}


def get_export(plan_id):
    plan = known(plan_id)
    stored = sql("select platform.read_plan(%s::uuid, %s::uuid)", tenant_id, plan["stored"])[0][0]
    stored.update(plan["told"], id=plan_id, tenant=TENANT, forecast_id=plan["forecast"], audits=plan["audits"])
    return 200, stored


def post_lock(plan_id, body):
    plan = known(plan_id)
    status = sql("select platform.lock_plan(%s::uuid, %s::uuid, %s)", tenant_id, plan["stored"], body["locked_by"])[0][0]
    plan["status"] = status
    return 200, {"id": plan_id, "status": status}


def patch_plan(plan_id, body):
    n = sql("update public.plan_versions set status = %s, locked_at = null, locked_by = null where id = %s::uuid", body["status"],
            known(plan_id)["stored"])
    return 200, {"changed": n}


def delete_plan(plan_id):
    sql("delete from public.plan_versions where id = %s::uuid", known(plan_id)["stored"])
    return 204, None


def delete_forecast(forecast):
    sql("delete from public.forecast_versions where id = %s::uuid", forecast)
    return 204, None


ROUTES = [
    ("POST", r"/forecasts$", post_forecasts), ("GET", r"/forecasts/([\w-]+)$", get_forecast), ("POST", r"/plans/solve$", post_solve),
    ("GET", r"/plans/(\w+)$", get_plan), ("GET", r"/plans/(\w+)/export$", get_export), ("POST", r"/plans/(\w+)/lock$", post_lock),
    ("PATCH", r"/plans/(\w+)$", patch_plan), ("DELETE", r"/plans/(\w+)$", delete_plan),
    ("DELETE", r"/forecasts/([\w-]+)$", delete_forecast), ("GET", r"/plans\?(.*)$", get_plans)]


def lose_a_tour(body):
    if isinstance(body["instances"], dict):
        body["instances"]["stops"].pop()
    else:
        body["instances"] = body["instances"][1:]


def another_week(body):
    for plan in body["plans"]:
        plan["week"] = "2031-W01"


def swap_drivers(body):
    a = body["assignments"]
    key = "driver_id" if "driver_id" in a[0] else "vehicle_id"
    a[0][key], a[-1][key] = a[-1][key], a[0][key]


WRONG = {
    "POST /forecasts": lambda body: body.update(tenant="somebody-else"),
    "GET /forecasts": lose_a_tour,
    "GET /plans/export": swap_drivers,
    "POST /plans/lock": lambda body: body.update(status="DRAFT"),
    "GET /plans?": another_week,
    "GET /plans": lambda body: body.update(status="RUNNING"),
    "POST /plans/solve": lambda body: body.update(id="../../tenants"),
}
OTHER = {"other_id": {"id": "0" * 32}, "other_tenant": {"tenant": "somebody-else"}, "other_forecast": {"forecast_id": str(uuid.uuid4())},
         "other_hash": {"input_hash": "0" * 64}}
WRONG_AUDITS = {"id": "rest", "status": "FAIL"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = b"" if status == 204 else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def work(self, match, function, fault):
        args = list(match.groups())
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            args.append(json.loads(self.rfile.read(length)))
        if function is post_solve:
            args.append(fault)
        try:
            return function(*args)
        except Refused as e:
            return e.status, {"message": str(e)}

    def once(self, match, function, fault):
        """The work, or, for a key that was seen before, its first answer."""
        key = self.headers.get("Idempotency-Key")
        if key is None:
            return self.work(match, function, fault)
        with guard:
            first = key not in answers
            if first:
                answers[key] = [threading.Event(), None]
        if first:
            answers[key][1] = self.work(match, function, fault)
            answers[key][0].set()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answers[key][0].wait()
        return answers[key][1]

    def serve(self):
        kind = "%s %s" % (self.command, re.sub(r"/([0-9a-f]{32}|[0-9a-f-]{36})(?=/|$)", "", re.sub(r"\?.*", "?", self.path)))
        with guard:
            fault = (faults.get(kind) or ["none"]).pop(0) if faults.get(kind) else "none"
        log.write("%s %s\n" % (kind, fault))
        if self.headers.get("X-API-Key") != KEY:
            return self.answer(401, {"message": "unknown key"})
        if fault == "drop":
            return self.cut()
        if fault == "pretend":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return self.answer(200, {"status": "LOCKED"})
        if fault.isdigit():
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return self.answer(int(fault), {"message": "planted"})
        for method, pattern, function in ROUTES:
            match = re.match(pattern, self.path)
            if method == self.command and match:
                status, body = self.once(match, function, fault)
                if fault == "drop_after":
                    return self.cut()
                if fault == "garbage":
                    body = b'{"id": '
                if fault == "lie" and isinstance(body, dict):
                    body = json.loads(json.dumps(body))
                    WRONG[kind](body)
                if fault in OTHER:
                    body = dict(body, **OTHER[fault])
                if fault == "two_audits":
                    body = dict(body, audits=body["audits"] + [WRONG_AUDITS])
                if fault == "other_audit":
                    body = dict(body, audits=[WRONG_AUDITS if a["id"] == "rest" else a for a in body["audits"]])
                return self.answer(status, body)
        return self.answer(404, {"message": "no such request"})

    do_GET = do_POST = do_PATCH = do_DELETE = serve


with psycopg.connect(host=SOCKET, user="postgres", dbname="platform") as admin:
    tenant_id = admin.execute("select id::text from core.tenants where code = %s", (TENANT,)).fetchone()[0]
scenario = step(op="scenario")["sql"]
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
os.write(3, b"%d\n" % server.server_address[1])
server.serve_forever()
