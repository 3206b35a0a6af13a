"""Numbers that several files of this app share."""

from typing import Final

SESSION_ID_CHARS: Final = 64
REFUSALS_KEPT_APART: Final = 20  # for each requester, code and minute; further ones are counted on the last row
INTENT_DEADLINE_S: Final = 45  # upstream deadline (10 s) and a margin; an older intent has no known outcome
EXPIRY_BUFFER_S: Final = 30  # a secret with less left counts as expired for whoever holds it
MIN_TTL_S: Final = 10  # what the upstream takes
MAX_TTL_S: Final = 7200
LAST_USED_STEP_S: Final = 60  # a key's last use is written at most this often
COUNTERS_KEPT_DAYS: Final = 62  # this month's and last month's, and then some, for what is counted late
SHORTEST_CALL_S: Final = 10  # with less left of an allowance a call is not begun
RATE_FORM: Final = r"^[1-9][0-9]{0,6}/(?:[1-9][0-9]{0,4})?[smhd]$"
MAX_KEYS_EACH: Final = 20  # usable keys of one user
