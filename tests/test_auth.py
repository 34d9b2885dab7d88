"""Doors: API keys, client tokens, the open door on loopback and the refusal beyond it."""

from typing import Any

import jwt
import pytest

from gateway.auth import AUDIENCE, Caller, Doors, Keys, is_loopback, refuse_open_door, refuse_strangers
from gateway.errors import Forbidden, InvalidRequest, Unauthorized
from tests.api.world import ENV_KEY, HandClock, new_store
from voice_agent.config import ConfigError
from voice_agent.store.recorder import Recorder


def doors(store: Recorder, clock: HandClock | None = None, api_key: str | None = None, loopback: bool = True) -> Doors:
    return Doors(store, clock or HandClock(), api_key=api_key, loopback=loopback)


async def made_key(store: Recorder, name: str = "test") -> str:
    return (await Keys(store, HandClock()).create(name)).key


async def test_a_key_is_shown_once_and_kept_as_a_hash() -> None:
    """The store holds id, name, time and SHA-256, and nothing from which the key could be made."""
    store = new_store()
    keys = Keys(store, HandClock(1_700_000_000.0))
    made = await keys.create("laptop")
    assert made.key.startswith(f"vg_{made.id}_")
    (row,) = await keys.list()
    assert (row.id, row.name, row.created_at) == (made.id, "laptop", 1_700_000_000.0)
    assert len(row.hash) == 64
    assert made.key.removeprefix(f"vg_{made.id}_") not in repr(row)


async def test_keys_differ_and_are_listed_in_order() -> None:
    """Two keys share neither id nor secret."""
    clock = HandClock()
    keys = Keys(new_store(), clock)
    one = await keys.create("one")
    clock.at += 1
    two = await keys.create("two")
    assert one.id != two.id
    assert one.key.split("_", 2)[2] != two.key.split("_", 2)[2]
    assert [row.name for row in await keys.list()] == ["one", "two"]


@pytest.mark.parametrize("authorization", [None, "Bearer whatever", "Basic eDp5", "Bearer", "", "Bearer schlüssel"])
async def test_without_any_key_loopback_is_open(authorization: str | None) -> None:
    """Credentials of any kind are ignored while there is no key."""
    assert await doors(new_store()).admit(authorization, "token") == Caller("open")


async def test_without_any_key_other_addresses_stay_shut() -> None:
    """A gateway whose last key was revoked does not open to the world."""
    with pytest.raises(Unauthorized):
        await doors(new_store(), loopback=False).admit("Bearer whatever")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_environments_key_opens_without_a_store_read(scheme: str) -> None:
    """VOICE_API_KEY is compared before anything is asked of the store."""
    store = new_store()
    assert await doors(store, api_key=ENV_KEY).admit(f"{scheme} {ENV_KEY}") == Caller("key")
    assert store.commands == []


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {ENV_KEY}x", f"Bearer {ENV_KEY[:-1]}", f"Basic {ENV_KEY}", ENV_KEY,
     "Bearer a.b.c", "Bearer schlüssel"],
)  # fmt: skip
async def test_bad_credentials_are_refused(authorization: str | None) -> None:
    """Once there is a key, nothing but a key or a token will do, on loopback too."""
    with pytest.raises(Unauthorized) as caught:
        await doors(new_store(), api_key=ENV_KEY).admit(authorization)
    assert ENV_KEY not in str(caught.value)


async def test_a_stored_key_opens_until_it_is_revoked() -> None:
    """Revocation holds from the next request on, and leaves other keys alone."""
    store = new_store()
    keys = Keys(store, HandClock())
    made, other = await keys.create("one"), await keys.create("two")
    entrance = doors(store)
    assert await entrance.admit(f"Bearer {made.key}") == Caller("key")
    assert await keys.revoke(made.id)
    with pytest.raises(Unauthorized):
        await entrance.admit(f"Bearer {made.key}")
    assert await entrance.admit(f"Bearer {other.key}") == Caller("key")
    assert not await keys.revoke(made.id)


async def test_a_key_is_known_by_its_whole_text() -> None:
    """Another secret under the same id does not open."""
    store = new_store()
    key = await made_key(store)
    with pytest.raises(Unauthorized):
        await doors(store).admit(f"Bearer {key[:-1]}{'a' if key[-1] != 'a' else 'b'}")


async def test_a_key_in_the_url_does_not_open() -> None:
    """`?token=` takes client tokens only."""
    store = new_store()
    key = await made_key(store)
    for entrance, text in ((doors(store), key), (doors(store, api_key=ENV_KEY), ENV_KEY)):
        with pytest.raises(Unauthorized):
            await entrance.admit(None, text)


async def test_both_kinds_of_key_count_as_keys() -> None:
    """`has_key` sees the environment's and the store's."""
    store = new_store()
    assert not await doors(store).has_key()
    assert await doors(store, api_key=ENV_KEY).has_key()
    await made_key(store)
    assert await doors(store).has_key()


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_token_names_its_agent_and_user(by_header: bool) -> None:
    """A token comes in by URL or as bearer, on another process of the same store too."""
    store = new_store()
    made = await doors(store, api_key=ENV_KEY).mint("ann", "bob", 300)
    entrance = doors(store, api_key=ENV_KEY)
    caller = await (entrance.admit(f"Bearer {made.token}") if by_header else entrance.admit(None, made.token))
    assert caller == Caller("token", "ann", "bob")


async def test_the_header_counts_before_the_url() -> None:
    """Where both hold a token, the bearer's is the caller's."""
    entrance = doors(new_store(), api_key=ENV_KEY)
    one, two = await entrance.mint("ann", None, 300), await entrance.mint("eve", None, 300)
    assert await entrance.admit(f"Bearer {one.token}", two.token) == Caller("token", "ann")


async def test_a_token_expires_by_the_gateways_clock() -> None:
    """It is good up to the last second and no longer."""
    clock = HandClock(1_000.0)
    entrance = doors(new_store(), clock, api_key=ENV_KEY)
    made = await entrance.mint("ann", None, 60)
    assert made.expires_at == 1_060
    clock.at = 1_059.9
    assert await entrance.admit(None, made.token) == Caller("token", "ann")
    clock.at = 1_060.0
    with pytest.raises(Unauthorized, match="expired"):
        await entrance.admit(None, made.token)


@pytest.mark.parametrize(
    "claims",
    [
        {"agent": "ann", "exp": 2_000_000_000},
        {"agent": "ann", "exp": 2_000_000_000, "aud": "resume"},
        {"exp": 2_000_000_000, "aud": AUDIENCE},
        {"agent": "ann", "aud": AUDIENCE},
        {"agent": 5, "exp": 2_000_000_000, "aud": AUDIENCE},
        {"agent": "ann", "exp": "never", "aud": AUDIENCE},
    ],
)
async def test_a_token_with_wrong_claims_is_refused(claims: dict[str, object]) -> None:
    """A good signature over anything but a client token's claims opens nothing."""
    store = new_store()
    with pytest.raises(Unauthorized):
        await doors(store, api_key=ENV_KEY).admit(None, jwt.encode(claims, await store.secret(), algorithm="HS256"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "none"])
async def test_a_token_with_a_wrong_signature_is_refused(algorithm: str) -> None:
    """Neither another secret nor another algorithm passes."""
    store = new_store()
    secrets: dict[str, Any] = {"HS256": b"x" * 32, "HS512": (await store.secret()) * 2, "none": None}
    claims = {"agent": "ann", "exp": 2_000_000_000, "aud": AUDIENCE}
    with pytest.raises(Unauthorized):
        await doors(store, api_key=ENV_KEY).admit(None, jwt.encode(claims, secrets[algorithm], algorithm=algorithm))


def test_only_tokens_may_not_manage() -> None:
    """An open door and a key manage agents, a token does not."""
    Caller("open").manage()
    Caller("key").manage()
    with pytest.raises(Forbidden):
        Caller("token", "ann").manage()


@pytest.mark.parametrize(
    ("caller", "user", "expected"),
    [
        (Caller("open"), None, "default"),
        (Caller("key"), "+44 20 7946 0000", "+44 20 7946 0000"),
        (Caller("token", "ann"), "bob", "bob"),
        (Caller("token", "ann"), None, "default"),
        (Caller("token", "ann", "bob"), None, "bob"),
        (Caller("token", "ann", "bob"), "bob", "bob"),
    ],
)
def test_a_session_gets_its_user(caller: Caller, user: str | None, expected: str) -> None:
    """The URL's, the token's, or the default."""
    assert caller.enter("ann", user) == expected


@pytest.mark.parametrize(
    ("caller", "user", "error"),
    [
        (Caller("token", "eve"), None, Forbidden),
        (Caller("token", "ann", "bob"), "eve", Forbidden),
        (Caller("token", "ann", "bob"), "", Forbidden),
        (Caller("key"), "", InvalidRequest),
        (Caller("key"), "a\nb", InvalidRequest),
        (Caller("key"), "bob\n", InvalidRequest),
        (Caller("key"), "x" * 201, InvalidRequest),
    ],
)
def test_a_session_for_somebody_else_is_refused(caller: Caller, user: str | None, error: type[Exception]) -> None:
    """A token's agent and user bind; a user must be a possible one."""
    with pytest.raises(error):
        caller.enter("ann", user)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.4", False), ("", False), ("example.org", False),
        ("localhost.example.org", False),
    ],
)  # fmt: skip
def test_an_open_door_is_refused_beyond_loopback(host: str, loopback: bool) -> None:
    """Without a key only loopback may be listened on; the error names both ways to get one."""
    assert is_loopback(host) is loopback
    refuse_open_door(host, has_key=True)
    if loopback:
        refuse_open_door(host, has_key=False)
        return
    with pytest.raises(ConfigError) as caught:
        refuse_open_door(host, has_key=False)
    assert "VOICE_API_KEY" in str(caught.value)
    assert "voice-gateway keys create" in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "evil.example:8080"),
        ("http://evil.example:8080", "evil.example:8080"),
        ("http://evil.example", "127.0.0.1:8080"),
        ("null", "127.0.0.1:8080"),
        (None, None),
    ],
)
def test_an_open_gateway_is_closed_to_pages_from_elsewhere(origin: str | None, host: str | None) -> None:
    """Neither another origin nor a name that was made to lead here gets in while there is no key."""
    with pytest.raises(Forbidden):
        refuse_strangers(origin, host)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_an_open_gateway_answers_its_own_page(host: str) -> None:
    """And programs, which send no origin."""
    refuse_strangers(f"http://{host}", host)
    refuse_strangers(None, host)
