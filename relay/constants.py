"""Numbers and addresses of this app; times are in seconds."""

from typing import Final

SOCKET_PATH: Final = "v1/realtime"
HEARTBEAT_TIMEOUT_S: Final = 45  # three heartbeats of the page
REQUEST_TIMEOUT_S: Final = 45  # an older request without outcome has none any more
HANG_UP_RETRY_S: Final = 600  # how long the worker tries to end an ended call upstream
HANG_UP_LONGEST_WAIT_S: Final = 120  # between two of its tries
HANG_UPS_A_SWEEP: Final = 20  # each may wait for the upstream's deadline, and the sweep has other work
HANG_UP_GRACE_S: Final = 3  # meanwhile whoever ended the call is telling the upstream
SWEEP_INTERVAL_S: Final = 2.0
LONGEST_SESSION_S: Final = 3600  # the upstream ends a session after that, however late we notice
DETAIL_CHARS: Final = 200
SOCKET_TICK_S: Final = 1.0  # how often open sockets are looked at, and their rows asked whether they still stand
SOCKET_STALL_S: Final = 10.0  # how long a side may take nothing of what it is sent
SOCKET_LAST_WORDS_S: Final = 5.0  # meanwhile a slow client may still read why it is closed
SOCKET_ALIVE_S: Final = 5.0  # how often a client that wishes so hears that its socket is open
SOCKET_SEEN_S: Final = 15.0  # how often a call's row hears that its socket is open
SIDEBANDS_A_CALL: Final = 2
EVENTS_A_SECOND: Final = 200  # a client's; sound in chunks of 20 ms comes to 50
EVENTS_AT_ONCE: Final = 1000
