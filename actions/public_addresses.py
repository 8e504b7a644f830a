"""IP addresses of the public internet, by IANA's tables of what is allocated for global unicast.

Sources: the IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates), and the IPv6 global
unicast assignments. Python's `is_global` follows the registries of its own release, and has let through what
routers of a private network translate to its inside.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_IPV6_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out to be reached from everywhere."""
_IPV6_SPECIAL = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: a way to any IPv4 address
        "3fff::/20",  # documentation
    )
)
_IPV4_SPECIAL = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast and reserved
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
"""Prefix for IPv4 in a network that has only IPv6 (RFC 6052): the last 32 bits are the address."""


def is_public(address: str) -> bool:
    """True if an IP address, perhaps with a zone (`%eth0`), is a global unicast address.

    Raises:
        ValueError: it is no address.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found in _NAT64:
        found = IPv4Address(int(found) & 0xFFFF_FFFF)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _IPV4_SPECIAL)
    return found in _IPV6_UNICAST and not any(found in network for network in _IPV6_SPECIAL)
