"""Only public addresses are connected to, unless the operator says otherwise."""

from __future__ import annotations

import socket

import pytest

from frames.media import MediaError, addresses
from frames.models import PreviewReason


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_not_public(address: str) -> None:
    assert not addresses.is_public(address)


def test_a_host_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda host, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(MediaError) as caught:
        addresses.checked_address("mixed.test", 80, allow_private=False)
    assert caught.value.reason is PreviewReason.PRIVATE_ADDRESS
    assert "127.0.0.1" not in caught.value.detail


def test_numbers_that_mean_loopback_are_refused() -> None:
    """Resolvers read 2130706433, 0x7f.1 and 127.1 as 127.0.0.1."""
    for host in ("2130706433", "0x7f.1", "127.1"):
        with pytest.raises(MediaError) as caught:
            addresses.checked_address(host, 80, allow_private=False)
        assert caught.value.reason is PreviewReason.PRIVATE_ADDRESS


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(addresses, "resolve", resolve)
    with pytest.raises(MediaError) as caught:
        addresses.checked_address("nowhere.test", 80, allow_private=False)
    assert (caught.value.reason, caught.value.retryable) == (PreviewReason.UNREACHABLE, True)
