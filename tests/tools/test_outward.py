"""The guarded HTTP client on real sockets: what it reaches, what it refuses, and whose address is looked at."""

import socket
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.llm.rawserver import Connection, raw_server
from voice_agent.tools.outward import Guard, Outward, OutwardError

NOT_PUBLIC = "its address is not public"
ODD = "its host is neither a name nor an address in the usual form"


class Names(AbstractResolver):
    """A name server of an attacker's: each question gets the next answer, and the last one from then on."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


class Server:
    """Answers every request in the same way, and counts them."""

    def __init__(self, body: bytes = b"fine", status: str = "200 OK", length: int | None = None) -> None:
        self.requests: list[str] = []
        self._answer = (body, status, length)

    async def serve(self, connection: Connection) -> None:
        while True:
            head, _ = await connection.request()
            self.requests.append(head)
            connection.send(*self._answer)
            if self._answer[2] is not None:
                return


async def refused(outward: Outward, url: str) -> OutwardError:
    with pytest.raises(OutwardError) as caught:
        await outward.post(url, b"{}", {}, 1000)
    return caught.value


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", NOT_PUBLIC), ("127.255.0.1", NOT_PUBLIC), ("0.0.0.0", NOT_PUBLIC), ("10.1.2.3", NOT_PUBLIC),
        ("172.16.0.1", NOT_PUBLIC), ("192.168.1.1", NOT_PUBLIC), ("169.254.169.254", NOT_PUBLIC),
        ("100.64.0.1", NOT_PUBLIC), ("224.0.1.1", NOT_PUBLIC), ("255.255.255.255", NOT_PUBLIC),
        ("240.0.0.1", NOT_PUBLIC), ("192.0.2.1", NOT_PUBLIC), ("198.18.0.1", NOT_PUBLIC),
        ("[::1]", NOT_PUBLIC), ("[::]", NOT_PUBLIC), ("[::127.0.0.1]", NOT_PUBLIC), ("[::ffff:127.0.0.1]", NOT_PUBLIC),
        ("[::ffff:a9fe:a9fe]", NOT_PUBLIC), ("[64:ff9b::10.0.0.1]", NOT_PUBLIC), ("[64:ff9b:1::8.8.8.8]", NOT_PUBLIC),
        ("[2002:7f00:1::1]", NOT_PUBLIC), ("[2001:0:7f00:1::1]", NOT_PUBLIC), ("[2001:db8::1]", NOT_PUBLIC),
        ("[fe80::1]", NOT_PUBLIC), ("[fe80::1%25lo]", NOT_PUBLIC), ("[fc00::1]", NOT_PUBLIC), ("[fd00::1]", NOT_PUBLIC),
        ("[fec0::1]", NOT_PUBLIC), ("[ff02::1]", NOT_PUBLIC), ("[100::1]", NOT_PUBLIC),
        ("localhost", NOT_PUBLIC), ("LOCALHOST.", NOT_PUBLIC), ("api.localhost", NOT_PUBLIC),
        ("127.1", ODD), ("2130706433", ODD), ("0x7f000001", ODD), ("0x7f.0.0.1", ODD), ("0177.0.0.1", ODD),
        ("017700000001", ODD), ("134744072", ODD), ("1.2.3.4.5", ODD), ("①②⑦.0.0.1", NOT_PUBLIC),
        ("0x7f.1.", ODD), ("a\0b", ODD), ("a..b", ODD), (f"{'a' * 64}.com", ODD), ("a%00b", ODD),
        (f"{'ü' * 60}.com", "it is no URL"),
        ("8.8.8.8", None), ("[2606:4700::1111]", None), ("[64:ff9b::8.8.8.8]", None), ("[::ffff:8.8.8.8]", None),
        ("hooks.example.com", None), ("localhost.example.com", None), ("10.example.com", None),
        ("bücher.example", None),
    ],
)  # fmt: skip
def test_a_host_is_judged_by_what_it_says(host: str, reason: str | None) -> None:
    """Loopback, private, link-local, multicast, reserved and disguised addresses are refused."""
    assert Guard().fault(f"http://{host}/x") == reason
    assert Guard().fault(f"https://{host}:8443/x?y=1") == reason


@pytest.mark.parametrize(
    "url",
    ["", "x", "/x", "ftp://example.com/", "file:///etc/passwd", "http://", "http:///x", "//example.com/x", "http://[::1",
     "http://example.com:99999/", "http://example.com:x/", "javascript:alert(1)", "http://user:pw@example.com/",
     "http://user@example.com/", "http://@", "http:example.com"],
)  # fmt: skip
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    """With words, and never by an exception."""
    assert Guard().fault(url) is not None


def test_what_is_allowed_is_let_through_and_nothing_beside_it() -> None:
    """Addresses, networks and names; the metadata service of a cloud is in none of them unless it is named."""
    guard = Guard(["127.0.0.1", "10.0.0.0/8", "fd00::/8", "Hooks.Internal", "localhost"])
    for host in ("127.0.0.1", "10.9.8.7", "[fd00::5]", "[::ffff:10.1.1.1]", "hooks.internal", "HOOKS.internal."):
        assert guard.fault(f"http://{host}/") is None
    assert guard.fault("http://localhost:9/") is None
    for host in ("127.0.0.2", "169.254.169.254", "[fc00::1]", "[::1]", "api.localhost"):
        assert guard.fault(f"http://{host}/") == NOT_PUBLIC


async def test_an_allowed_address_is_reached_on_a_connection_that_is_kept() -> None:
    """Headers and body arrive as given."""
    server = Server()
    async with raw_server(server.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
        for _ in range(2):
            answer = await outward.post(url, b"{}", {"X-One": "1"}, 1000)
            assert (answer.status, answer.body, answer.whole) == (200, b"fine", True)
    assert len(server.requests) == 2
    assert "X-One: 1\r\n" in server.requests[0]
    assert "cookie" not in server.requests[1].lower()


async def test_nothing_is_sent_to_an_address_that_is_not_public() -> None:
    """Written out, or behind a name that the machine knows."""
    server = Server()
    async with raw_server(server.serve) as url, Outward(Guard()) as outward:
        port = url.split(":")[2]
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
            fault = await refused(outward, f"http://{host}:{port}")
            assert fault.final
            assert not fault.sent
    assert server.requests == []


async def test_a_name_that_leads_inside_is_refused() -> None:
    """However it is spelled by the one who resolves it."""
    server = Server()
    async with raw_server(server.serve) as url:
        for inside in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.1"):
            async with Outward(Guard(), Names([inside])) as outward:
                fault = await refused(outward, url.replace("127.0.0.1", "evil.example"))
                assert (str(fault), fault.final) == (NOT_PUBLIC, True)
    assert server.requests == []


async def test_a_name_that_changes_its_answer_is_looked_at_each_time() -> None:
    """Only the public ones of its addresses are ever connected to."""
    server = Server()
    async with raw_server(server.serve) as url:
        names = Names(["192.0.2.1", "127.0.0.1"], ["127.0.0.1"])
        async with Outward(Guard(["192.0.2.0/24"]), names) as outward:
            target = url.replace("127.0.0.1", "evil.example")
            kept = await outward._session.connector._resolve_host("evil.example", 80)  # type: ignore[union-attr]
            assert [each["host"] for each in kept] == ["192.0.2.1"]
            assert str(await refused(outward, target)) == NOT_PUBLIC
        assert names.asked == 2
    assert server.requests == []


async def test_a_name_that_is_allowed_may_lead_inside() -> None:
    """The operator named it."""
    server = Server()
    async with raw_server(server.serve) as url, Outward(Guard(["hooks.internal"]), Names(["127.0.0.1"])) as outward:
        answer = await outward.post(url.replace("127.0.0.1", "hooks.internal"), b"{}", {}, 1000)
        assert answer.status == 200
        assert str(await refused(outward, url.replace("127.0.0.1", "other.internal"))) == NOT_PUBLIC
    assert len(server.requests) == 1


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    """Not even to an address that would be allowed."""
    inside = Server()
    async with raw_server(inside.serve) as target:
        outside = Server(status=f"307 Temporary Redirect\r\nLocation: {target}")
        async with raw_server(outside.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
            assert (await outward.post(url, b"{}", {}, 1000)).status == 307
    assert (len(outside.requests), len(inside.requests)) == (1, 0)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve names by itself."""
    proxy, server = Server(), Server()
    async with raw_server(proxy.serve) as via, raw_server(server.serve) as url:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, via.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        async with Outward(Guard(["127.0.0.1"])) as outward:
            assert (await outward.post(url, b"{}", {}, 1000)).status == 200
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


async def test_a_body_is_read_up_to_its_bound() -> None:
    """The rest of ten megabytes is not waited for."""
    server = Server(b"x" * 10_000_000)
    async with raw_server(server.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
        answer = await outward.post(url, b"{}", {}, 1000)
        assert (len(answer.body), answer.whole) == (1000, False)
    exact = Server(b"x" * 1000)
    async with raw_server(exact.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
        answer = await outward.post(url, b"{}", {}, 1000)
        assert (len(answer.body), answer.whole) == (1000, True)


async def test_faults_say_whether_the_request_may_have_arrived() -> None:
    """No connection, no such name, and an answer that breaks off, each in a few words."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with Outward(Guard(["127.0.0.1"])) as outward:
            fault = await refused(outward, closed)
            assert (str(fault), fault.final, fault.sent) == ("no connection", False, False)
    async with Outward(Guard()) as outward:
        fault = await refused(outward, "http://nowhere.invalid/")
        assert (str(fault), fault.final, fault.sent) == ("its host name is not known", False, False)
    for garbled in (Server(status="99999 What"), Server(b"no gzip", "200 OK\r\nContent-Encoding: gzip")):
        async with raw_server(garbled.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
            fault = await refused(outward, url)
            assert (str(fault), fault.final, fault.sent) == ("its answer cannot be read", False, True)
    half = Server(b"half", length=8)
    async with raw_server(half.serve) as url, Outward(Guard(["127.0.0.1"])) as outward:
        fault = await refused(outward, url)
        assert (str(fault), fault.final, fault.sent) == ("the connection was lost", False, True)


async def test_a_server_that_cannot_be_trusted_gets_nothing() -> None:
    """TLS is checked, and there is no second try without it."""
    seen = []

    async def plain(connection: Connection) -> None:
        seen.append(connection.number)
        connection.send(b"no TLS here")

    async with raw_server(plain) as url, Outward(Guard(["127.0.0.1"])) as outward:
        fault = await refused(outward, url.replace("http://", "https://"))
        assert (str(fault), fault.final, fault.sent) == ("no trusted TLS connection", True, False)
    assert seen == [1]
