"""Size and grammar of an SDP offer, checked before anything is forwarded or parsed (RFC 8866, RFC 8829)."""

import re
from typing import Final

from realtime_api.errors import InvalidSdp, SdpPolicy

MAX_OFFER_BYTES: Final = 65_536  # browsers' offers for one audio section are 2 to 6 KB
MAX_LINES: Final = 1_000
MAX_LINE_CHARS: Final = 2_000
MAX_MEDIA_SECTIONS: Final = 4
MAX_CANDIDATES: Final = 64

_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_MEDIA: Final = re.compile(
    r"m=(audio|application|video|text|message) (\d{1,5})(?:/\d{1,2})? ([A-Za-z0-9/]+)((?: [\w.-]+)+)", re.ASCII
)
_CANDIDATE: Final = re.compile(
    r"a=candidate:\S{1,64} [1-9]\d{0,4} (?:udp|tcp) \d{1,10} [0-9A-Za-z.:-]{1,255} \d{1,5}"
    r" typ (?:host|srflx|prflx|relay)(?: .*)?",
    re.I | re.ASCII,
)
_RTPMAP: Final = re.compile(r"a=rtpmap:\d{1,3} [\w.+-]+/\d{1,6}(?:/\d{1,2})?", re.ASCII)
_FMTP: Final = re.compile(r"a=fmtp:\d{1,3} \S.*", re.ASCII)
_FINGERPRINT: Final = re.compile(r"a=fingerprint:(sha-256|sha-384|sha-512) (?:[0-9A-F]{2}:){31,63}[0-9A-F]{2}", re.I)
_ATTRIBUTE_RULES: Final = {
    "a=candidate:": _CANDIDATE,
    "a=rtpmap:": _RTPMAP,
    "a=fmtp:": _FMTP,
    "a=fingerprint:": _FINGERPRINT,
}


def check_offer(raw_offer: bytes) -> str:
    """Return the offer as text with CRLF line ends.

    Raises InvalidSdp for a body that is too large or breaks the grammar, and SdpPolicy for SDP that is no
    offer of one audio section and one data channel with DTLS (sha-256 or stronger).
    """
    lines = _lines(raw_offer)
    _check_grammar(lines)
    _check_policy(lines)
    return "\r\n".join(lines) + "\r\n"


def check_answer(raw_answer: bytes) -> str:
    """Return an SDP answer of the upstream as text; raises InvalidSdp when it cannot be one."""
    lines = _lines(raw_answer)
    if lines[0] != "v=0" or not any(line.startswith("m=audio ") for line in lines):
        raise InvalidSdp("The answer is not SDP with an audio section.")
    if not all(_LINE.fullmatch(line) for line in lines):
        raise InvalidSdp("The answer has a malformed line.")
    return "\r\n".join(lines) + "\r\n"


def _lines(raw_sdp: bytes) -> list[str]:
    if len(raw_sdp) > MAX_OFFER_BYTES:
        raise InvalidSdp(f"The SDP is larger than {MAX_OFFER_BYTES} bytes.")
    try:
        text = raw_sdp.decode()
    except UnicodeDecodeError as exc:
        raise InvalidSdp("The SDP is not UTF-8 text.") from exc
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise InvalidSdp(f"The SDP has more than {MAX_LINES} lines.")
    return lines


def _check_grammar(lines: list[str]) -> None:
    if lines[0] != "v=0":
        raise InvalidSdp("The SDP does not start with v=0.")
    for number, line in enumerate(lines, start=1):
        is_plain = len(line) <= MAX_LINE_CHARS and line.replace("\t", " ").isprintable()
        if not is_plain or not _LINE.fullmatch(line) or not _is_known_form(line):
            raise InvalidSdp(f"Line {number} of the SDP is malformed.")
    for required in ("o=", "s=", "t=", "m="):
        if not any(line.startswith(required) for line in lines):
            raise InvalidSdp(f"The SDP has no {required} line.")


def _is_known_form(line: str) -> bool:
    if line.startswith("m="):
        media = _MEDIA.fullmatch(line)
        return media is not None and int(media[2]) <= 65535
    rule = _ATTRIBUTE_RULES.get(line[: line.find(":") + 1])
    return rule is None or rule.fullmatch(line) is not None


def _check_policy(lines: list[str]) -> None:
    media = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if len(media) > MAX_MEDIA_SECTIONS or sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        raise SdpPolicy("The offer has too many media sections or candidates.")
    if sorted(media) != ["application", "audio"]:
        raise SdpPolicy()
    if not any(line.startswith("m=application ") and "webrtc-datachannel" in line for line in lines):
        raise SdpPolicy("The offer's data channel is missing.")
    for required, meaning in (
        ("a=fingerprint:", "DTLS fingerprint"),
        ("a=ice-ufrag:", "ICE user name"),
        ("a=ice-pwd:", "ICE password"),
    ):
        if not any(line.startswith(required) for line in lines):
            raise SdpPolicy(f"The offer has no {meaning}.")
    if any(line in ("a=setup:active", "a=setup:passive") for line in lines):
        raise SdpPolicy("The body is an SDP answer; an offer is expected (RFC 8829 section 5.2.1).")
