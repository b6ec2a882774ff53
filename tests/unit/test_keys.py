"""Keys: what they are, who may pass, and what the services say to those who may not."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import classification_service.app
import evolver.app
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.hosted_keys import HostedKeys, open_keys
from commons.adapters.key_guard import KeyGuard
from commons.adapters.key_tables import SqlKeyTables
from commons.adapters.remote_keys import RemoteKeys
from commons.auth import (
    SCOPES,
    KeyInfo,
    KeyRequest,
    PresentedKey,
    Scope,
    allows,
    generate_key,
    key_from_env,
    present_key,
    stored_key,
)
from commons.errors import InvalidInputError, UnauthorizedError, UnavailableError
from sensory_service.app import Settings, create_app, create_keys
from tests.dicebox_processes import until
from tests.sensory_house import ManualClock

ADMIN = "/api/admin/v1"
SENSORY = "/api/sensory/v1"
HERE = {"Host": "localhost:8000"}


@dataclass
class House:
    app: Any
    keys: HostedKeys
    clock: ManualClock
    folder: Path

    def key(self, *scopes: Scope, expires_in_s: float | None = None) -> str:
        request = KeyRequest(name="somebody", scopes=scopes, expires_in_s=expires_in_s)
        key = self.keys.desk.create(request).key
        self.keys.guard.forget()
        return key

    def ask(
        self,
        method: str,
        path: str,
        key: str | None = None,
        peer: str = "127.0.0.1",
        **options: Any,
    ) -> httpx.Response:
        headers = {**HERE, **options.pop("headers", {})}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        transport = httpx.WSGITransport(self.app, remote_addr=peer)
        with httpx.Client(transport=transport, base_url="http://localhost:8000") as http:
            return http.request(method, path, headers=headers, **options)


@pytest.fixture
def house(tmp_path: Path) -> House:
    clock = ManualClock()
    keys = open_keys(sqlite_url(tmp_path / "keys.sqlite3"), clock, "auto")
    # The guard's memory and the clock of the keys are the same here.
    keys = HostedKeys(
        keys.desk, KeyGuard(keys.desk, required=False, monotonic=clock.monotonic, now=clock.now)
    )
    app = create_app(Settings(data=tmp_path), keys=keys, services={})
    return House(app, keys, clock, tmp_path)


def test_a_key_has_256_random_bits_and_is_found_by_its_id() -> None:
    first = generate_key(lambda size: b"\x01" * size)
    presented = present_key(first)
    assert presented is not None
    assert presented.id == "01" * 6
    assert len(first.rpartition("_")[2]) * 6 >= 256


@pytest.mark.parametrize(
    "text", ["", "dbx", "dbx_0_0", "Bearer x", "dbx_" + "0" * 12 + "_" + "é" * 43]
)
def test_what_is_no_key_presents_nothing(text: str) -> None:
    assert present_key(text) is None


def test_one_needed_scope_is_enough_and_admin_has_all() -> None:
    assert allows(("classify",), ("train", "classify"))
    assert allows(("admin",), ("train",))
    assert not allows(("classify",), ("train",))
    assert allows((), ())


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")
    assert key_from_env({}) is None
    assert key_from_env({"DICEBOX_KEY_FILE": str(file)}) == "from-file"
    assert key_from_env({"DICEBOX_KEY": "own", "DICEBOX_KEY_FILE": str(file)}) == "own"
    with pytest.raises(InvalidInputError, match="DICEBOX_KEY_FILE"):
        key_from_env({"DICEBOX_KEY_FILE": str(tmp_path / "none")})
    file.write_text("\n")
    with pytest.raises(InvalidInputError, match=r"DICEBOX_KEY_FILE: .* is empty"):
        key_from_env({"DICEBOX_KEY_FILE": str(file)})


def test_a_wrong_setting_that_may_be_secret_is_not_repeated() -> None:
    with pytest.raises(InvalidInputError) as error:
        Settings.from_env({"DICEBOX_GIVEN_KEYS": '[{"id": "hush"}]'})
    assert "DICEBOX_GIVEN_KEYS" in str(error.value)
    assert "hush" not in str(error.value)


def test_this_machine_needs_no_key_until_the_first_one_is_made(house: House) -> None:
    assert house.ask("GET", f"{SENSORY}/datasets").status_code == 200
    assert house.ask("GET", f"{ADMIN}/whoami").json()["scopes"] == list(SCOPES)
    made = house.ask("POST", f"{ADMIN}/keys", json={"name": "me", "scopes": ["admin"]})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    refused = house.ask("GET", f"{SENSORY}/datasets")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="dicebox"'
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert house.ask("GET", f"{SENSORY}/datasets", made.json()["key"]).status_code == 200
    assert house.ask("GET", f"{SENSORY}/healthz").status_code == 200


def test_keyless_is_for_this_very_machine_and_its_own_pages(house: House) -> None:
    path = f"{SENSORY}/datasets"
    assert house.ask("GET", path, peer="10.0.0.7").status_code == 401
    forwarded = house.ask("GET", path, headers={"X-Forwarded-For": "10.0.0.7"})
    assert forwarded.status_code == 401
    for headers in ({"Host": "rebound.example"}, {"Origin": "https://other.example"}):
        reply = house.ask("GET", path, headers=headers)
        assert (reply.status_code, reply.json()["type"]) == (403, "foreign-origin")


def test_a_key_that_may_not_is_told_which_scope_is_missing(house: House) -> None:
    reply = house.ask("POST", f"{SENSORY}/orders", house.key("classify"), json={})
    assert (reply.status_code, reply.json()["type"]) == (403, "missing-scope")
    assert "train" in reply.json()["detail"]
    assert 'error="insufficient_scope", scope="train"' in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize("wrong", ["dbx_" + "0" * 12 + "_" + "A" * 43, "nonsense"])
def test_a_key_that_nobody_made_is_refused(house: House, wrong: str) -> None:
    reply = house.ask("GET", f"{SENSORY}/datasets", wrong)
    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_the_right_id_with_another_secret_is_refused(house: House) -> None:
    key = house.key("admin")
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert house.ask("GET", f"{SENSORY}/datasets", other).status_code == 401


def test_a_key_that_expired_or_was_revoked_is_refused_at_once(house: House) -> None:
    admin, short = house.key("admin"), house.key("sensory:read", expires_in_s=10.0)
    assert house.ask("GET", f"{SENSORY}/datasets", short).status_code == 200
    house.clock.sleep(11.0)
    assert house.ask("GET", f"{SENSORY}/datasets", short).status_code == 401
    lasting = house.key("sensory:read")
    assert house.ask("GET", f"{SENSORY}/datasets", lasting).status_code == 200
    revoked = house.ask("DELETE", f"{ADMIN}/keys/{lasting.split('_')[1]}", admin)
    assert revoked.json()["revoked"] == house.clock.now()
    assert house.ask("GET", f"{SENSORY}/datasets", lasting).status_code == 401
    assert house.ask("DELETE", f"{ADMIN}/keys/none", admin).status_code == 404


def test_revoking_the_last_key_opens_nothing(house: House) -> None:
    key = house.key("admin")
    house.ask("DELETE", f"{ADMIN}/keys/{key.split('_')[1]}", key)
    assert house.ask("GET", f"{SENSORY}/datasets").status_code == 401


def test_keys_are_listed_without_secrets_and_with_their_last_use(house: House) -> None:
    key = house.key("admin")
    listed = house.ask("GET", f"{ADMIN}/keys", key)
    assert key not in listed.text
    assert "sha256" not in listed.text
    (one,) = listed.json()["keys"]
    assert (one["name"], one["last_used"]) == ("somebody", house.clock.now())
    assert key.encode() not in (house.folder / "keys.sqlite3").read_bytes()


def test_only_an_admin_makes_keys(house: House) -> None:
    body = {"name": "me", "scopes": ["admin"]}
    others = tuple(scope for scope in SCOPES if scope != "admin")
    assert house.ask("POST", f"{ADMIN}/keys", house.key(*others), json=body).status_code == 403


def test_a_key_is_traded_for_a_cookie_that_ends_with_logout(house: House) -> None:
    key = house.key("sensory:read", "sensory:write")
    login = house.ask("POST", f"{ADMIN}/login", json={"key": key})
    assert login.status_code == 204
    attributes = login.headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in attributes
    assert key not in attributes
    cookie = {"Cookie": attributes.partition(";")[0]}
    assert house.ask("GET", f"{SENSORY}/datasets", headers=cookie).status_code == 200
    own = {**cookie, "Origin": "http://localhost:8000"}
    upload = f"{SENSORY}/datasets/pets/images"
    assert house.ask("POST", upload, headers=own, content=b"no image").status_code == 400
    for foreign in ({**cookie, "Origin": "http://localhost:9"}, cookie):
        reply = house.ask("POST", upload, headers=foreign, content=b"no image")
        assert (reply.status_code, reply.json()["type"]) == (403, "foreign-origin")
    assert house.ask("POST", f"{ADMIN}/logout", headers=own).status_code == 204
    assert house.ask("GET", f"{SENSORY}/datasets", headers=cookie).status_code == 401


def test_a_cookie_ends_with_its_key_and_is_no_key_to_trade(house: House) -> None:
    key = house.key("sensory:read")
    login = house.ask("POST", f"{ADMIN}/login", json={"key": key})
    cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    again = house.ask("POST", f"{ADMIN}/login", json={"key": cookie["Cookie"].partition("=")[2]})
    assert again.status_code == 401
    house.keys.desk.revoke(key.split("_")[1])
    house.keys.guard.forget()
    assert house.ask("GET", f"{SENSORY}/datasets", headers=cookie).status_code == 401


def test_a_login_from_another_site_is_refused(house: House) -> None:
    headers = {"Origin": "https://other.example"}
    reply = house.ask("POST", f"{ADMIN}/login", headers=headers, json={"key": house.key("admin")})
    assert reply.status_code == 403


def test_a_wrong_key_does_not_log_in(house: House) -> None:
    assert house.ask("POST", f"{ADMIN}/login", json={"key": "guess"}).status_code == 401
    with pytest.raises(UnauthorizedError):
        house.keys.desk.login(generate_key(lambda size: b"x" * size))


def test_no_table_is_asked_twice_in_a_few_seconds() -> None:
    class Counting:
        asked = 0
        gone = False

        def find(self, presented: PresentedKey) -> KeyInfo | None:
            if self.gone:
                raise UnavailableError("the admin API is away")
            self.asked += 1
            return KeyInfo(id=presented.id, name="me", scopes=("classify",), created=0.0)

        def exists(self) -> bool:
            return True

    keys, clock = Counting(), ManualClock()
    guard = KeyGuard(keys, required=True, monotonic=clock.monotonic, now=clock.now)
    key = generate_key(lambda size: b"k" * size)
    environ = {"REQUEST_METHOD": "POST", "HTTP_AUTHORIZATION": f"Bearer {key}"}
    for _ in range(100):
        guard.admit(environ, ("classify",))
    assert keys.asked == 1
    clock.sleep(6.0)
    guard.admit(environ, ("classify",))
    assert keys.asked == 2
    keys.gone = True
    clock.sleep(60.0)
    guard.admit(environ, ("classify",))
    clock.sleep(120.0)
    with pytest.raises(UnavailableError):
        guard.admit(environ, ("classify",))


def test_a_key_that_is_used_is_asked_about_again_without_anybody_waiting() -> None:
    class Slow:
        """Knows a key until it is revoked, and is asked as long as the test likes."""

        def __init__(self) -> None:
            self.asked = 0
            self.is_good = True
            self.answers = threading.Event()
            self.answers.set()

        def find(self, presented: PresentedKey) -> KeyInfo | None:
            self.asked += 1
            assert self.answers.wait(10)
            made = KeyInfo(id=presented.id, name="me", scopes=("classify",), created=0.0)
            return made if self.is_good else None

        def exists(self) -> bool:
            return True

    keys, clock = Slow(), ManualClock()
    guard = KeyGuard(keys, required=True, monotonic=clock.monotonic, now=clock.now)
    key = generate_key(lambda size: b"k" * size)
    environ = {"REQUEST_METHOD": "POST", "HTTP_AUTHORIZATION": f"Bearer {key}"}
    assert guard.admit_now(environ, ("classify",)) is None
    guard.admit(environ, ("classify",))
    assert guard.admit_now(environ, ("classify",)) is not None
    assert keys.asked == 1
    keys.answers.clear()
    for _ in range(2):
        clock.sleep(1.6)
        for _ in range(100):
            assert guard.admit_now(environ, ("classify",)) is not None
    until(lambda: keys.asked == 2)
    keys.answers.set()
    # The same answer came again, from now on.
    until(lambda: not guard._renewing)
    clock.sleep(2.5)
    assert guard.admit_now(environ, ("classify",)) is not None
    keys.is_good = False
    clock.sleep(1.0)
    assert guard.admit_now(environ, ("classify",)) is not None
    until(lambda: keys.asked == 3 and not guard._renewing)
    with pytest.raises(UnauthorizedError):
        guard.admit_now(environ, ("classify",))


@pytest.fixture
def others(house: House, tmp_path: Path) -> Iterator[list[tuple[Any, str]]]:
    """The services that keep no keys, with one remote guard that asks the sensory service."""
    transport = httpx.WSGITransport(house.app)
    with httpx.Client(transport=transport, base_url="http://localhost:8000") as http:
        guard = KeyGuard(RemoteKeys(http), required=False)
        evolution = evolver.app.create_app(evolver.app.Settings(data=tmp_path), guard)
        classification = classification_service.app.create_app(
            classification_service.app.Settings(data=tmp_path), guard
        )
        yield [
            (evolution, "/api/evolution/v1/runs"),
            (classification, "/api/classification/v1/networks"),
        ]


def test_the_other_services_ask_the_admin_api(house: House, others: list[tuple[Any, str]]) -> None:
    keys = {"evolve": 200, "label": 403, None: 401}
    for app, path in others:
        other = House(app, house.keys, house.clock, house.folder)
        for scope, status in keys.items():
            key = house.key(scope) if scope else None  # type: ignore[arg-type]
            assert other.ask("GET", path, key).status_code == status
        assert other.ask("GET", path, generate_key(lambda size: b"?" * size)).status_code == 401


def test_a_use_at_another_service_is_the_last_use_of_the_key(
    house: House, others: list[tuple[Any, str]]
) -> None:
    for (app, path), seconds in zip(others, (100.0, 200.0), strict=True):
        house.clock.sleep(seconds)
        key = house.key("evolve")
        other = House(app, house.keys, house.clock, house.folder)
        assert other.ask("GET", path, key).status_code == 200
        (info,) = [one for one in house.keys.desk.list() if one.id == key.split("_")[1]]
        assert info.last_used == house.clock.now()


def test_given_keys_are_good_without_a_table_and_open_no_house(tmp_path: Path) -> None:
    text = generate_key(lambda size: b"g" * size)
    given = stored_key(text, "this house", ("admin",), 0.0)
    keys = open_keys(sqlite_url(tmp_path / "k.sqlite3"), ManualClock(), "auto", [given])
    presented = present_key(text)
    assert presented is not None
    found = keys.desk.find(presented)
    assert found is not None
    assert found.scopes == ("admin",)
    assert keys.guard.is_keyless()
    assert keys.desk.list() == []


def test_an_admin_key_from_the_start_asks_everybody_from_the_start(tmp_path: Path) -> None:
    text = generate_key(lambda size: b"a" * size)
    clock, settings = ManualClock(), Settings(data=tmp_path, admin_key=text)
    keys = create_keys(settings, clock)
    house = House(create_app(settings, keys=keys, services={}), keys, clock, tmp_path)
    assert house.ask("GET", f"{SENSORY}/datasets").status_code == 401
    assert house.ask("POST", f"{ADMIN}/keys", json={"name": "me", "scopes": ["admin"]}).is_error
    assert house.ask("GET", f"{ADMIN}/keys", text).json() == {"keys": []}
    with pytest.raises(InvalidInputError, match="DICEBOX_ADMIN_KEY to read dbx_") as error:
        create_keys(Settings(data=tmp_path, admin_key="hush"), clock)
    assert "hush" not in str(error.value)


def test_a_house_knows_whether_anybody_has_a_key_that_is_good(house: House) -> None:
    assert not house.keys.desk.has_good_key()
    house.key("classify", expires_in_s=60.0)
    assert house.keys.desk.has_good_key()
    house.clock.sleep(61.0)
    assert not house.keys.desk.has_good_key()
    made = house.key("classify")
    assert house.keys.desk.has_good_key()
    house.keys.desk.revoke(made.split("_")[1])
    assert not house.keys.desk.has_good_key()
    text = generate_key(lambda size: b"a" * size)
    settings = Settings(data=house.folder, admin_key=text)
    assert create_keys(settings, house.clock).desk.has_good_key()


def test_keys_survive_their_process(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "keys.sqlite3")
    request = KeyRequest(name="me", scopes=("admin",))
    made = open_keys(url, ManualClock(), "auto").desk.create(request)
    tables = SqlKeyTables(create_database(url))
    assert [kept.id for kept in tables.all()] == [made.id]


def test_health_and_storage_are_told_to_admins(house: House) -> None:
    key = house.key("admin")
    assert house.ask("GET", f"{ADMIN}/health", key).json() == {"services": []}
    figures = house.ask("GET", f"{ADMIN}/storage", key).json()
    assert 0 < figures["free_bytes"] <= figures["total_bytes"]
    assert figures["counts"] == {"datasets": 0, "images": 0}
    assert figures["image_bytes"] == 0
