"""Which addresses members' links may lead to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.public_addresses import is_public

PUBLIC = (
    "1.1.1.1",
    "93.184.216.34",
    "192.88.98.1",
    "223.255.255.254",
    "2606:4700::6810:85e5",
    "2a00:1450:4001:82a::200e",
    "2001:4860:4860::8888",
    "64:ff9b::5db8:d822",
)
NOT_PUBLIC = (
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::93.184.216.34",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "::ffff:0:93.184.216.34",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::5db8:d822",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:5db8:d822::",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_these_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_these_are_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=6))
def test_nothing_outside_of_global_unicast_is_public(address: IPv6Address) -> None:
    outside = address not in IPv6Network("2000::/3") and address not in IPv6Network("64:ff9b::/96")
    assert not (outside and is_public(str(address)))


@given(st.ip_addresses(v=4))
def test_what_is_public_is_global_to_python_too(address: IPv4Address) -> None:
    assert not is_public(str(address)) or address.is_global


def test_what_is_no_address_says_so() -> None:
    with pytest.raises(ValueError, match="localhost"):
        is_public("localhost")
