"""What the dashboard refuses, asked over HTTP: other hosts and sites, wrong tokens, paths, writing, huge questions."""

import http.client
import re
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

import autotrack
from autotrack.dashboard import tokens
from autotrack.dashboard.serving import Dashboard, is_loopback
from autotrack.errors import UsageError
from autotrack.settings import load
from autotrack.store.engine import open_engine
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))

from served import served

BAIT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secure")
    page = folder / "report.html"
    page.write_text("<script>document.title = 'ran'</script><h1>report</h1>")
    (folder / "picture.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    (folder / "secret.txt").write_text("the other run's")
    with recording(folder / "home"):
        with autotrack.start_run(BAIT, project=BAIT, params={BAIT: BAIT}) as run:
            run.set_tags({BAIT: BAIT})
            run.log_metrics({BAIT: 1.0})
            run.log_artifact(page)
            run.log_artifact(folder / "picture.svg", name=f"{BAIT}.svg")
        with autotrack.start_run("other") as run:
            run.log_artifact(folder / "secret.txt")
    return folder / "home"


@pytest.fixture(scope="module")
def client(home: Path):
    with served(home) as client:
        yield client


@pytest.fixture(scope="module")
def locked(home: Path):
    with served(home, token=TOKEN) as client:
        yield client


def record(client: httpx.Client, name: str) -> dict:
    (run,) = [run for run in client.get("/api/runs").json()["runs"] if run["name"] == name]
    return client.get(f"/api/run/{run['id']}").json()


# What every answer carries


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/run/nobody", "/static/lib/api.js", "/nowhere"])
def test_every_answer_has_the_strict_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert not [name for name in headers if name.startswith("access-control-")]
    assert "server" not in headers


def test_pages_load_nothing_from_outside_and_hold_no_inline_script(client: httpx.Client) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|style=|\son\w+=", page)
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", page)


# Reading only


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT_IT"])
@pytest.mark.parametrize("path", ["/", "/api/runs", "/login", "/files/a/b/c"])
def test_nothing_is_written_through_http(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_is_get_without_a_body(client: httpx.Client) -> None:
    for path in ("/", "/api/runs", "/static/lib/api.js", "/api/changes"):
        answer = client.head(path)
        assert answer.status_code == 200
        assert not answer.content


# Hosts and sites


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "localhost@evil", "", "[::2]"],
)
def test_other_names_for_this_address_are_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/api/runs", headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert "runs" not in answer.text or "error" in answer.json()


@pytest.mark.parametrize("host", ["localhost", "localhost:6006", "127.0.0.1:1", "[::1]:6006", "LOCALHOST:80"])
def test_names_of_this_machine_are_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/api/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_cannot_ask(client: httpx.Client, site: str) -> None:
    for path in ("/api/runs", "/static/lib/api.js", "/files/a/b/c"):
        for mode in ("cors", "no-cors", "navigate"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": "script"}
            assert client.get(path, headers=headers).status_code == 403
    framed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert client.get("/", headers=framed).status_code == 403


def test_a_link_from_elsewhere_to_a_page_may_be_followed(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/compare", headers=headers).status_code == 200
    assert client.get("/api/runs", headers=headers).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://"])
def test_requests_in_the_name_of_another_origin_are_refused(client: httpx.Client, origin: str) -> None:
    assert client.get("/api/runs", headers={"Origin": origin}).status_code == 403


# Paths and files


def raw(client: httpx.Client, path: str) -> tuple[int, bytes]:
    """A request whose path no client has put in order."""
    place = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


PATHS = [
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2fapp.py",
    "/static/..%5capp.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/lib/../../serving.py",
    "/static/%00",
    "/static/",
    "/../../etc/passwd",
    "/files/../../store.db",
    "/files/%2e%2e/%2e%2e/store.db",
    "/api/../store.db",
    "//etc/passwd",
    "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/.git/config",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_file_of_this_machine(client: httpx.Client, path: str) -> None:
    status, body = raw(client, path)
    assert status in (400, 404), body
    assert b"import" not in body
    assert b"root:" not in body
    assert b"SQLite" not in body


def test_files_go_out_sandboxed_and_as_downloads(client: httpx.Client) -> None:
    run = record(client, BAIT)
    for artifact in run["artifacts"]:
        answer = client.get(f"/files/{run['id']}/{artifact['digest']}/{quote(artifact['name'], safe='')}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert "allow-scripts" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]
        assert len(answer.content) == artifact["bytes"] == int(answer.headers["content-length"])


def test_a_page_that_is_framed_stays_in_its_sandbox(client: httpx.Client) -> None:
    run = record(client, BAIT)
    (page,) = [one for one in run["artifacts"] if one["name"] == "report.html"]
    answer = client.get(f"/files/{run['id']}/{page['digest']}/report.html", params={"framed": "1"})
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "allow" not in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_a_digest_opens_a_file_of_the_run_that_is_named_and_of_no_other(client: httpx.Client) -> None:
    run, other = record(client, BAIT), record(client, "other")
    (secret,) = other["artifacts"]
    assert client.get(f"/files/{other['id']}/{secret['digest']}/secret.txt").text == "the other run's"
    for digest in (secret["digest"], "0" * 64, "..", "%2e%2e", "../" + secret["digest"], secret["digest"].upper()):
        answer = client.get(f"/files/{run['id']}/{quote(digest, safe='')}/secret.txt")
        assert answer.status_code == 404, digest
        assert "other run" not in answer.text
    assert client.get(f"/api/run/{run['id']}/preview", params={"digest": secret["digest"]}).status_code == 404


# What runs are called


def test_script_in_names_is_data(client: httpx.Client) -> None:
    asked = {"columns": f'params."{BAIT}", tags."{BAIT}"', "where": f'project = "{BAIT}"'}
    answer = client.get("/api/runs", params=asked)
    assert answer.headers["content-type"] == "application/json"
    (run,) = answer.json()["runs"]
    assert run["name"] == run["project"] == BAIT
    assert list(run["values"].values()) == [BAIT, BAIT]
    assert BAIT not in client.get(f"/run/{quote(BAIT, safe='')}").text


@pytest.mark.parametrize(
    "path",
    ["/api/run/" + quote(BAIT, safe=""), "/api/runs?where=" + quote(BAIT), "/api/series?runs=a&key=b&x=" + quote(BAIT)],
)
def test_errors_are_json_and_name_no_place(client: httpx.Client, home: Path, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in answer.text
    assert str(home) not in answer.text
    assert ".py" not in answer.text


def test_a_fault_of_ours_is_told_without_its_trace(tmp_path: Path) -> None:
    dashboard = Dashboard(load({}, home=tmp_path / "home"), port=0)
    with dashboard.served() as address:
        dashboard.store.runs()
        with dashboard.store.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE runs")
        answer = httpx.get(address + "api/runs")
    assert answer.status_code == 503
    assert set(answer.json()) == {"error"}
    assert str(tmp_path) not in answer.text
    assert "sqlite" not in answer.text.lower()


def test_huge_questions_are_refused(client: httpx.Client) -> None:
    assert client.get("/api/runs", params={"where": "name = " + "x" * 5000}).status_code == 400
    assert client.get("/api/runs", params={"where": "x" * 20_000}).status_code == 414
    status, _ = raw(client, "/" + "a" * 100_000)
    assert status in (400, 414)
    assert client.get("/api/info", headers={"X-Long": "y" * 300_000}).status_code in (400, 431)
    assert client.get("/api/info").status_code == 200


# Tokens


def test_without_a_token_nothing_of_the_store_is_shown(locked: httpx.Client) -> None:
    for path in ("/api/runs", "/api/changes", "/files/a/b/c"):
        answer = locked.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    answer = locked.get("/run/abc?tab=code")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Frun%2Fabc%3Ftab%3Dcode"


def test_the_token_opens_it_in_the_header(locked: httpx.Client) -> None:
    assert locked.get("/api/runs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer"):
        assert locked.get("/api/runs", headers={"Authorization": wrong}).status_code == 401
    assert locked.get("/api/runs", params={"token": TOKEN}).status_code == 401


def test_logging_in_sets_a_cookie_that_scripts_and_other_sites_do_not_get(locked: httpx.Client) -> None:
    page = locked.get("/login?next=%2Fcompare")
    assert page.status_code == 200
    assert 'type="password"' in page.text
    answer = locked.post("/login?next=%2Fcompare", data={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/compare"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    with httpx.Client(base_url=locked.base_url, cookies=answer.cookies) as person:
        assert person.get("/api/runs").status_code == 200
        assert person.get("/").status_code == 200
    with httpx.Client(base_url=locked.base_url, cookies={"autotrack-session": "x" * 43}) as stranger:
        assert stranger.get("/api/runs").status_code == 401
    locked.cookies.clear()


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/login", "/\r\nX: y"]
)
def test_logging_in_leads_to_a_page_of_the_dashboard_only(locked: httpx.Client, wanted: str) -> None:
    answer = locked.post("/login", params={"next": wanted}, data={"token": TOKEN})
    locked.cookies.clear()
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_another_site_cannot_log_a_browser_in(locked: httpx.Client) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        assert locked.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403
    assert locked.post("/login", json={"token": TOKEN}).status_code == 401
    assert locked.post("/login", content=b"token=" + b"x" * 50_000).status_code == 401


def test_who_guesses_has_to_wait_and_the_login_page_shows_no_script(home: Path) -> None:
    with served(home, token=TOKEN) as client:
        answers = [
            client.post("/login?next=/%22%3E%3Cscript%3E", data={"token": f"guess {number}"}) for number in range(11)
        ]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert all("<script>" not in answer.text for answer in answers)
        wrong = client.get("/api/runs", headers={"Authorization": "Bearer another guess"})
        assert wrong.status_code == 429
        assert wrong.headers["retry-after"]


def test_tokens_of_the_store_open_it_until_they_are_revoked(home: Path) -> None:
    engine = open_engine(home, load({}, home=home))
    token = tokens.add(engine, "ada")
    with served(home, host="0.0.0.0") as client:
        assert client.get("/api/runs").status_code == 401
        client.headers["Host"] = "dashboard.example:6006"  # where a token is demanded, any name is answered
        assert client.get("/api/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        person = client.post("/login", data={"token": token}).cookies
        client.cookies.clear()
        assert (
            client.get("/api/runs", headers={"Cookie": f"autotrack-session={person['autotrack-session']}"}).status_code
            == 200
        )
        tokens.revoke(engine, "ada")
        assert client.get("/api/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        assert (
            client.get("/api/runs", headers={"Cookie": f"autotrack-session={person['autotrack-session']}"}).status_code
            == 401
        )
    engine.dispose()


def test_bound_elsewhere_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tokens add|AUTOTRACK_DASHBOARD_TOKEN"):
        Dashboard(load({}, home=tmp_path / "home"), "0.0.0.0", 0)
    with pytest.raises(UsageError, match="longer"):
        Dashboard(load({}, home=tmp_path / "home"), "0.0.0.0", 0, "short")


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.5.5.5", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.example.org")))
