"""Metrics, logs, the audit log and webhooks, as an operator's tools see them: a real Prometheus, a receiver of our own."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import sqlite3
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from tests.lab import wait
from tests.lab.build import SOURCE
from tests.lab.ports import free_port
from tests.lab.process import Process
from tests.lab.standalone import StandaloneAgent

UUID = "6e657474-0000-4000-8000-00000000d001"
CONFIG = "version: v1alpha1\nmachine:\n  token: do-not-tell-anybody\n"
PASSWORD = "correct-horse-battery"
SECRET = b"0123456789abcdef0123456789abcdef"
OBSERVABILITY = SOURCE / "packaging" / "observability"


class Agent(StandaloneAgent):
    """nettd with the metadata plugin, metrics and an audit file; `more` goes to the top of the configuration."""

    def __init__(self, build, folder, more="", plugins=""):
        super().__init__(build, folder)
        self.metrics_port = free_port()
        self.builder("pki", "tenant", folder, "t")
        self.write_config(self.metadata_node() + plugins, f"hostname obs\nlog format json\nmetrics listen [::1]:{self.metrics_port} plain\n"
                                                          f"audit file {folder}/audit.log\n{more}")

    def register(self):
        (self.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        (self.folder / "vmlinuz").write_bytes(b"k" * 1000)
        (self.folder / "initramfs.xz").write_bytes(b"i" * 16)
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                     self.folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.builder("machine", "add", "m", "--tenant", "t", "--uuid", UUID, "--artifact-set", "s", "--config", self.folder / "config.yaml")

    def connect(self):
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        context.load_cert_chain(self.folder / "t.pem", self.folder / "t.key")
        return http.client.HTTPSConnection("::1", self.port, timeout=15, context=context)

    def boot(self):
        """One boot request: status, headers."""
        connection = self.connect()
        try:
            return get(connection, f"/v1/boot/{UUID}")[:2]
        finally:
            connection.close()

    def scrape(self):
        with urllib.request.urlopen(f"http://[::1]:{self.metrics_port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def sample(self, series):
        """The value of one series, as it is written; None: there is none."""
        match = re.search(rf"^{re.escape(series)} (\S+)$", self.scrape(), re.MULTILINE)
        return float(match[1]) if match else None

    def shell(self, *lines):
        words = [word for line in lines for word in ("-c", line)]
        return subprocess.run([self.build.program("nettsh"), "--socket", self.socket, *words], capture_output=True, text=True, timeout=30,
                              check=False)

    def log_lines(self):
        return [json.loads(line) for line in self.process.log().splitlines() if line.startswith("{")]

    def audit_lines(self):
        return [json.loads(line) for line in (self.folder / "audit.log").read_text(encoding="utf-8").splitlines()]

    def events(self, kind):
        return [event for event in self.show("show events") if event["type"] == kind]


def get(connection, path):
    connection.request("GET", path)
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


@pytest.fixture
def make_agent(build, tmp_path):
    made = []

    def make(**more):
        agent = Agent(build, tmp_path, **more)
        agent.start()
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.process.stop()


# Metrics.


def test_a_scrape_is_what_promtool_takes_and_counts_boots(make_agent):
    agent = make_agent()
    agent.register()
    assert agent.boot()[0] == 200
    text = agent.scrape()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert agent.sample('nett_boot_requests_total{tenant="t",result="netboot"}') == 1
    assert agent.sample('nett_boot_request_seconds_count{result="netboot"}') == 1
    assert agent.sample('nett_machines{state="provisioning"}') == 1
    assert agent.sample('nett_metadata_handshakes_total{listener="machines",result="full"}') >= 1
    assert agent.sample('nett_metadata_sent_bytes_total{listener="machines"}') > 100
    assert agent.sample("nett_state_revision") >= 4
    assert agent.sample('nett_store_commit_seconds_bucket{le="+Inf"}') >= 4
    left = agent.sample('nett_certificate_expiry_timestamp_seconds{certificate="metadata"}') - time.time()
    assert 3600 < left < 20 * 365 * 86400
    assert agent.boot()[0] == 200
    assert agent.sample('nett_boot_requests_total{tenant="t",result="netboot"}') == 2


def test_other_requests_are_refused_and_the_agent_goes_on(make_agent):
    agent = make_agent()
    connection = http.client.HTTPConnection("::1", agent.metrics_port, timeout=10)
    for method, path, status in (("GET", "/", 404), ("POST", "/metrics", 405), ("GET", "/metrics/x", 404), ("HEAD", "/metrics", 200)):
        connection.request(method, path)
        reply = connection.getresponse()
        assert (reply.status, method, path) == (status, method, path)
        reply.read()
        connection.close()
    long = http.client.HTTPConnection("::1", agent.metrics_port, timeout=10)
    with pytest.raises((http.client.HTTPException, OSError)):
        long.request("GET", "/metrics", headers={"X": "x" * 20000})
        assert long.getresponse().status != 200
    # More idle connections than are served: those above the limit are closed at once.
    idle = [http.client.HTTPConnection("::1", agent.metrics_port, timeout=10) for _ in range(20)]
    for one in idle:
        one.connect()
    for one in idle:
        one.close()
    wait.until("scrapes are answered again", lambda: "nett_build_info" in agent.scrape(), 10)
    assert {one["name"]: one["state"] for one in agent.show("show health") if one["component"] == "metrics"} \
        == {f"listener [::1]:{agent.metrics_port}": "ok"}


def test_with_tls_only_a_role_of_the_api_may_scrape(build, tmp_path):
    agent = Agent(build, tmp_path)
    port = free_port()
    for name in ("obs", "monitoring"):
        agent.builder("pki", "api", tmp_path, name, *(["--address", "::1"] if name == "obs" else []))
    config = tmp_path / "nett.conf"
    config.write_text(f"api certificate {tmp_path}/obs.pem\napi private-key {tmp_path}/obs.key\napi client-ca {tmp_path}/root.pem\n"
                      f"api role viewer common-name monitoring\nmetrics listen [::1]:{port}\n" + config.read_text(encoding="utf-8"), encoding="utf-8")
    agent.start()
    try:
        def status(certificate):
            context = ssl.create_default_context(cafile=tmp_path / "root.pem")
            if certificate:
                context.load_cert_chain(tmp_path / f"{certificate}.pem", tmp_path / f"{certificate}.key")
            connection = http.client.HTTPSConnection("::1", port, timeout=10, context=context)
            try:
                return get(connection, "/metrics")[0]
            finally:
                connection.close()

        assert status("monitoring") == 200
        assert status("t") == 403  # a tenant's boot certificate chains to the same root, and has no role
        refused = agent.audit_lines()[-1]
        assert (refused["who"], refused["what"], refused["result"]) == ("tls:t.boot.example", "metrics", "permission denied")
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            status(None)
    finally:
        agent.process.stop()


@pytest.fixture
def prometheus(make_agent, tmp_path):
    """A real Prometheus that scrapes an agent that has booted a machine; asks it."""
    name = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "prom"
    agent = make_agent()
    agent.register()
    agent.boot()
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{OBSERVABILITY}/nett-rules.yaml"]
scrape_configs: [{{job_name: nett, static_configs: [{{targets: ["[::1]:{agent.metrics_port}"]}}]}}]
""", encoding="utf-8")
    process = Process(name, ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                             f"--web.listen-address=[::1]:{port}"], tmp_path / "prometheus.log")

    def query(expression):
        url = f"http://[::1]:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    try:
        wait.until("Prometheus has scraped the agent", lambda: query('up{job="nett"} == 1'), 30, every=0.3)
        yield query
    finally:
        process.stop()


def dashboard_queries():
    board = json.loads((OBSERVABILITY / "nett-dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"].replace("$instance", ".*") for panel in board["panels"] for target in panel.get("targets", [])]


def rule_queries():
    import yaml
    rules = yaml.safe_load((OBSERVABILITY / "nett-rules.yaml").read_text(encoding="utf-8"))
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


# Of agents that have what this one has not: ports, FRRouting, a webhook, a job. tests/integration/test_runbooks.py scrapes such a one.
ELSEWHERE = {"nett_ra_ports", "nett_ra_drift_total", "nett_anycast_state", "nett_anycast_transitions_total", "nett_frr_connected",
             "nett_frr_in_sync", "nett_frr_repairs_total", "nett_webhook_queue", "nett_webhook_deliveries_total", "nett_webhook_dropped_total",
             "nett_job_steps_total"}


def test_prometheus_takes_every_query_of_the_dashboard_and_the_rules(prometheus):
    queries = dashboard_queries() + rule_queries()
    assert len(queries) > 40
    for one in queries:
        prometheus(one)  # a query that does not parse is answered with status 400
    names = {name for one in queries for name in re.findall(r"\b(?:nett|process)_[a-z_]+\b", one)}
    known = {sample["metric"]["__name__"] for sample in prometheus('{job="nett"}')}
    assert names - ELSEWHERE <= known, sorted(names - ELSEWHERE - known)
    sources = "".join(path.read_text(encoding="utf-8") for folder in ("agent", "plugins") for path in (SOURCE / folder).rglob("*.cpp"))
    for name in ELSEWHERE:
        assert f'"{name}"' in sources, f"{name} is in no source"
    firing = {sample["metric"]["alertname"] for sample in prometheus('ALERTS{alertstate="firing"}')}
    assert not firing & {"NettAgentDown", "NettBootErrors", "NettCertificateExpired"}


def test_the_rules_do_what_their_cases_say(tmp_path):
    for words in (("check", "rules", "nett-rules.yaml"), ("test", "rules", "nett-rules-test.yaml")):
        done = subprocess.run(["promtool", *words], cwd=OBSERVABILITY, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_the_one_that_its_script_makes():
    made = subprocess.run(["/usr/bin/python3", OBSERVABILITY / "make_dashboard.py"], capture_output=True, text=True, timeout=30, check=True)
    assert made.stdout == (OBSERVABILITY / "nett-dashboard.json").read_text(encoding="utf-8")


# Logs.


def test_one_id_ties_a_boot_to_its_artifacts_config_and_state(make_agent):
    agent = make_agent()
    agent.register()
    connection = agent.connect()
    status, headers, _ = get(connection, f"/v1/boot/{UUID}")
    assert status == 200
    boot_id = headers["Nett-Boot-Id"]
    assert re.fullmatch(r"[0-9a-f]{12}", boot_id)
    status, headers, _ = get(connection, "/v1/artifacts/s/vmlinuz")
    assert (status, headers["Nett-Boot-Id"]) == (200, boot_id)
    status, headers, _ = get(connection, f"/v1/config/{UUID}/config.sqsh")
    assert (status, headers["Nett-Boot-Id"]) == (200, boot_id)
    connection.close()
    told = {line["message"] for line in agent.log_lines() if line.get("boot_id") == boot_id}
    assert told == {"boot script served", "artifact asked for", "config handed over"}
    for kind in ("machine.boot", "machine.config", "machine.state"):
        assert [event["fields"]["boot_id"] for event in agent.events(kind)] == [boot_id], kind
    wait.until("the machine's record has the id", lambda: agent.show("show machine m")["last_boot_id"] == boot_id, 5)
    assert agent.shell("machine m state active").returncode == 0
    assert agent.events("machine.state")[-1]["fields"]["to"] == "active"
    # Another boot has another id; a refusal says none.
    assert agent.boot()[1]["Nett-Boot-Id"] is None


def test_each_component_has_a_level_of_its_own(make_agent):
    agent = make_agent(more="log level error\nlog level info component metadata\n")
    agent.register()
    agent.boot()
    components = {line["component"] for line in agent.log_lines() if line["level"] == "info"}
    assert components == {"metadata"}
    assert agent.shell("configure terminal", "no log level info component metadata", "commit").returncode == 0
    before = len(agent.log_lines())
    agent.boot()
    assert len(agent.log_lines()) == before


# The audit log.


def test_every_change_is_written_with_who_and_what_and_no_secret(make_agent):
    agent = make_agent()
    agent.register()
    (agent.folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    agent.builder("bmc", "add", "b", "--endpoint", "https://[::1]:9", "--username", "root", "--password-file", agent.folder / "password")
    assert agent.shell("machine m lock").returncode == 0
    assert agent.shell("machine nobody lock").returncode != 0
    assert agent.shell("configure terminal", "log level debug", "commit").returncode == 0
    lines = agent.audit_lines()
    assert {line["who"] for line in lines} == {"unix:root"}
    assert {line["role"] for line in lines} == {"admin"}
    what = {line["what"] for line in lines}
    assert {"Inventory/PutTenant", "Artifacts/Upload", "Artifacts/PutArtifactSet", "Inventory/PutMachine", "Inventory/PutBmc", "shell"} <= what
    machine = next(line for line in lines if line["what"] == "Inventory/PutMachine")
    assert "name: m" in machine["detail"] and UUID in machine["detail"] and machine["result"] == "OK"
    shell = {line["detail"].splitlines()[0]: line for line in lines if line["what"] == "shell"}
    assert shell["machine m lock"]["result"] == "OK"
    assert shell["machine nobody lock"]["result"] == "not found" and "nobody" in shell["machine nobody lock"]["error"]
    assert "log level debug" in shell["commit"]["detail"]
    # Reading leaves nothing behind.
    count = len(lines)
    agent.show("show machines")
    assert len(agent.audit_lines()) == count
    text = (agent.folder / "audit.log").read_text(encoding="utf-8") + json.dumps(agent.show("show events")) + agent.process.log()
    for secret in (PASSWORD, "do-not-tell-anybody", base64.b64encode(CONFIG.encode()).decode()):
        assert secret not in text
    assert (agent.folder / "audit.log").stat().st_mode & 0o777 == 0o640
    assert [event["fields"]["what"] for event in agent.events("audit.change")][-1] == "shell"


@pytest.fixture
def tcp_agent(build, tmp_path):
    """An agent with the API on TCP: `eyes` is a viewer, `nobody` has a certificate and no role. Answers a client with a certificate."""
    agent = Agent(build, tmp_path)
    port = free_port()
    for name in ("obs", "eyes", "nobody"):
        agent.builder("pki", "api", tmp_path, name, *(["--address", "::1"] if name == "obs" else []))
    config = tmp_path / "nett.conf"
    config.write_text(f"api listen [::1]:{port}\napi certificate {tmp_path}/obs.pem\napi private-key {tmp_path}/obs.key\n"
                      f"api client-ca {tmp_path}/root.pem\napi role viewer common-name eyes\n" + config.read_text(encoding="utf-8"),
                      encoding="utf-8")
    agent.start()

    def call(program, who, *words):
        return subprocess.run([build.program(program), "--server", f"[::1]:{port}", "--certificate", tmp_path / f"{who}.pem", "--private-key",
                               tmp_path / f"{who}.key", "--ca", tmp_path / "root.pem", *words], capture_output=True, text=True, timeout=30,
                              check=False)

    yield agent, call
    agent.process.stop()


def test_a_call_that_the_role_does_not_allow_is_written_with_who_what_and_why(tcp_agent):
    agent, call = tcp_agent
    assert call("nettsh", "eyes", "-c", "show machines").returncode == 0
    assert call("talos-fabric-builder", "eyes", "tenant", "add", "x", "--common-name", "x.example").returncode != 0
    assert call("nettsh", "eyes", "-c", "configure terminal").returncode != 0
    assert call("nettsh", "nobody", "-c", "show machines").returncode != 0  # reading, too: it has no role at all
    refused = [line for line in agent.audit_lines() if line["result"] == "permission denied"]
    nobody = ("tls:nobody", "", "Shell/Execute")  # nettsh says "logout", too
    assert [(line["who"], line["role"], line["what"]) for line in refused] == [
        ("tls:eyes", "viewer", "Inventory/PutTenant"), ("tls:eyes", "viewer", "shell"), nobody, nobody]
    assert "needs the role admin" in refused[0]["error"] and "tls:eyes is viewer" in refused[0]["error"]
    assert refused[1]["detail"] == "configure terminal"
    assert '"nobody" has no role here' in refused[2]["error"]
    assert [event["fields"]["what"] for event in agent.events("audit.refused")] == [line["what"] for line in refused]
    assert not agent.show("show tenants")


def test_a_rotated_audit_file_is_opened_anew_on_sighup(make_agent):
    agent = make_agent()
    agent.register()
    old = agent.folder / "audit.log.1"
    (agent.folder / "audit.log").rename(old)
    kept = old.read_text(encoding="utf-8")
    agent.reload()
    wait.until("the file is there again", lambda: "reload" in (agent.folder / "audit.log").read_text(encoding="utf-8"), 10)
    agent.shell("machine m lock")
    assert old.read_text(encoding="utf-8") == kept
    assert agent.audit_lines()[-1]["detail"] == "machine m lock"


# Webhooks.


class Receiver:
    """An HTTPS server that notes what is posted; the first `failures` posts are answered with 500."""

    def __init__(self, folder, port=None, failures=0):
        self.posts, self.failures, self.port = [], failures, port or free_port()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((dict(self.headers), body))
                fails = len(receiver.posts) <= receiver.failures
                self.send_response(500 if fails else 204)
                self.end_headers()

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = __import__("socket").AF_INET6

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._server = Server(("::1", self.port), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def messages(self):
        return [json.loads(body) for _, body in self.posts]


def is_signed(headers, body, secret=SECRET):
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], wanted) and abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def webhook(folder, port, ca="root.pem", events="machine.state"):
    (folder / "secret").write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n", encoding="utf-8")
    return (f"webhook noc url https://[::1]:{port}/hooks/t0ken?x=y\nwebhook noc secret file {folder}/secret\n"
            f"webhook noc ca file {folder}/{ca}\nwebhook noc events {events}\n")


def test_a_message_is_signed_and_tried_until_it_is_taken(make_agent, tmp_path):
    port = free_port()
    agent = make_agent(more=webhook(tmp_path, port))
    receiver = Receiver(tmp_path, port, failures=2)
    try:
        agent.register()
        agent.boot()
        wait.until("the third attempt is taken", lambda: len(receiver.posts) == 3, 30)
        assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
        assert all(is_signed(headers, body) for headers, body in receiver.posts)
        assert not is_signed(*receiver.posts[0], secret=b"another key of thirty-two bytes!")
        message = receiver.messages()[-1]
        assert (message["type"], message["data"]["subject"], message["data"]["agent"]) == ("machine.state", "m", "obs")
        assert message["data"]["fields"]["to"] == "provisioning"

        def row():
            return agent.show("show webhooks")[0]

        wait.until("the queue is empty", lambda: row()["queued"] == 0, 5)
        assert (row()["delivered"], row()["failed"], row()["dropped"], row()["signed"]) == (1, 2, 0, True)
        assert row()["url"] == f"https://[::1]:{port}/…"  # a token may be any part of the path
        assert agent.sample('nett_webhook_deliveries_total{webhook="noc",result="ok"}') == 1
    finally:
        receiver.stop()


def test_what_was_not_taken_survives_a_restart_of_the_agent(make_agent, tmp_path):
    port = free_port()
    agent = make_agent(more=webhook(tmp_path, port))
    agent.register()
    agent.boot()
    wait.until("an attempt has failed", lambda: agent.show("show webhooks")[0]["failed"] >= 1, 15)
    agent.process.stop()
    receiver = Receiver(tmp_path, port)
    try:
        agent.start()
        wait.until("the message of the earlier run arrives", lambda: receiver.posts, 30)
        assert [message["data"]["fields"]["to"] for message in receiver.messages()] == ["provisioning"]
        assert is_signed(*receiver.posts[0])
    finally:
        receiver.stop()


def stored_messages(agent):
    """How many messages wait in the state file, as a stock tool reads it."""
    with contextlib.closing(sqlite3.connect(f"file:{agent.folder}/state.db?mode=ro", uri=True)) as state:
        rows = state.execute("SELECT value FROM record WHERE kind = 'webhook-queue'").fetchall()
    return sum(text.count('"msg_') for (text,) in rows)


def test_a_killed_agent_delivers_every_message_in_order_once_it_runs_again(make_agent, tmp_path):
    port, steps = free_port(), ("lock", "unlock") * 6
    agent = make_agent(more=webhook(tmp_path, port, events="machine.lock"))
    agent.register()
    assert agent.shell(*(f"machine m {step}" for step in steps)).returncode == 0
    wait.until("all are stored", lambda: stored_messages(agent) == len(steps), 15)
    agent.process.kill()
    receiver = Receiver(tmp_path, port, failures=1)
    try:
        agent.start()
        # Killed again in the middle, on the way.
        wait.until("some were taken", lambda: len(receiver.posts) >= 4, 30)
        agent.process.kill()
        agent.start()
        wait.until("none waits any more", lambda: agent.show("show webhooks")[0]["queued"] == 0, 30)
        assert all(is_signed(headers, body) for headers, body in receiver.posts)
        first = {}  # a message that came twice, around a kill, has the id of the first time
        for headers, body in receiver.posts:
            first.setdefault(headers["webhook-id"], json.loads(body))
        sequence = [message["data"]["message"] for message in first.values()]
        assert len(first) == len(steps) and len(set(sequence)) == 2, sequence
        assert sequence == sequence[:2] * (len(steps) // 2), sequence
        assert [message["timestamp"] for message in first.values()] == sorted(message["timestamp"] for message in first.values())
        wait.until("nothing is stored any more", lambda: stored_messages(agent) == 0, 15)
        assert agent.show("show webhooks")[0]["dropped"] == 0
    finally:
        receiver.stop()


def test_a_receiver_with_a_foreign_certificate_gets_nothing(make_agent, build, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run([build.program("talos-fabric-builder"), "pki", "init", other, "--server-address", "::1"], check=True, capture_output=True,
                   timeout=30)
    port = free_port()
    agent = make_agent(more=webhook(tmp_path, port))
    receiver = Receiver(other, port)
    try:
        agent.register()
        agent.boot()
        wait.until("the refusal is told", lambda: "certificate is refused" in agent.show("show webhooks")[0]["last_result"], 15)
        assert not receiver.posts
    finally:
        receiver.stop()


def test_bad_configuration_is_named_with_its_remedy(build, tmp_path):
    agent = Agent(build, tmp_path, more="metrics listen [::]:9469 plain\nmetrics listen [::1]:9470\nwebhook a url http://[::1]/x\n"
                                        "webhook b events job.\nwebhook c url https://192.0.2.1/x\n")
    done = subprocess.run([build.program("nettd"), "--config", tmp_path / "nett.conf", "--plugin-dir", build.plugin_folder(tmp_path),
                           "--check-config"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    for text in ("[::] would serve every network", "say \"plain\"", "give an https:// URL", "add \"webhook b url URL\"", "IPv4 is not spoken"):
        assert text in done.stderr, done.stderr
    assert agent.process is None
