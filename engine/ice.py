"""Which addresses our ICE candidates carry. The one place that changes aioice."""

import ipaddress
from collections.abc import Sequence

import aioice.ice

LOOPBACK = ("127.0.0.1",)


def offer_addresses(addresses: Sequence[str] = LOOPBACK) -> None:
    """Make every later ICE connection of this process offer exactly `addresses`.

    aioice leaves 127.0.0.1 out and has no option for it (aioice#2), and the machine's other
    addresses would open media ports to the network. aioice calls the function by keyword.
    """

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        wanted = {4: use_ipv4, 6: use_ipv6}
        return [text for text in addresses if wanted[ipaddress.ip_address(text).version]]

    aioice.ice.get_host_addresses = get_host_addresses
