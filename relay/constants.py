"""Numbers of this app; times are in seconds."""

from typing import Final

HEARTBEAT_TIMEOUT_S: Final = 45  # three heartbeats of the page
REQUEST_TIMEOUT_S: Final = 45  # an older request without outcome has none any more
HANG_UP_RETRY_S: Final = 600  # how long the worker tries to end an ended call upstream
HANG_UP_LONGEST_WAIT_S: Final = 120  # between two of its tries
HANG_UPS_A_SWEEP: Final = 20  # each may wait for the upstream's deadline, and the sweep has other work
HANG_UP_GRACE_S: Final = 3  # meanwhile whoever ended the call is telling the upstream
SWEEP_INTERVAL_S: Final = 2.0
LONGEST_SESSION_S: Final = 3600  # the upstream ends a session after that, however late we notice
DETAIL_CHARS: Final = 200
