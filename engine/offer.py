"""What an SDP offer must hold besides its grammar before aiortc sees it. Grammar and size are checked elsewhere."""

import re

SECTION_NEEDS = ("a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:actpass")
MDNS_CANDIDATE = re.compile(r"^a=candidate:[^\r\n]*\.local\b[^\r\n]*\r?\n", re.M | re.I)


class BadOffer(Exception):
    """The offer could not be answered."""


def prepare_offer(offer_sdp: str) -> str:
    """Return the offer as aiortc can take it; raises BadOffer.

    aiortc trusts the sections' names: a BUNDLE group (RFC 9143) that leads with a name nobody bears
    leaves it with a half-built connection and a task that fails unseen.
    """
    session, *sections = _sections(offer_sdp.splitlines())
    names = [_value(section, "a=mid:") for section in sections]
    bundled = _value(session, "a=group:BUNDLE ").split()
    if len(set(names)) != len(names) or sorted(bundled) != sorted(names):
        raise BadOffer
    for section in sections:
        if not all(any(line.startswith(need) for line in (*session, *section)) for need in SECTION_NEEDS):
            raise BadOffer
    return without_mdns(offer_sdp)


def without_mdns(offer_sdp: str) -> str:
    """Drop candidates with .local names: looking each up takes a second, and ICE finds such peers anyway."""
    return MDNS_CANDIDATE.sub("", offer_sdp)


def _sections(lines: list[str]) -> list[list[str]]:
    """Split an offer into the session part and its media sections."""
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _value(lines: list[str], prefix: str) -> str:
    """Return what follows a prefix; raises BadOffer unless exactly one line has it."""
    found = [line.removeprefix(prefix).strip() for line in lines if line.startswith(prefix)]
    if len(found) != 1 or not found[0]:
        raise BadOffer
    return found[0]
