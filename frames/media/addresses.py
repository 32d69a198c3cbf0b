"""Which network address a host is reached at: resolved once, checked, and then used as it is."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from frames.media.errors import MediaError
from frames.models import PreviewReason

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that packets to this IPv6 address end at, if there is one."""
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def is_public(text: str) -> bool:
    """Return whether an address belongs to the public internet."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def checked_address(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve a host and return the address to connect to.

    Every address of the host must be public: one that is sometimes private is refused as well.

    Raises:
        MediaError: PRIVATE_ADDRESS, or UNREACHABLE where the name does not resolve.
    """
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise MediaError(
            PreviewReason.UNREACHABLE,
            f"The name {host} does not resolve.",
            retryable=isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN,
        ) from error
    if not allow_private and not all(is_public(address) for address in addresses):
        raise MediaError(
            PreviewReason.PRIVATE_ADDRESS,
            f"{host} is at a private address and is not in MEDIA_PRIVATE_HOSTS.",
        )
    return addresses[0]
