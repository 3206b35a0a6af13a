"""Why somebody did not get in."""

from realtime_api.errors import CodedError


class LoginLocked(CodedError):
    """Too many wrong passwords for this name from this address."""

    code = "login_locked"
    title = "Too many tries"
    status = 429
    default_message = "There were too many wrong passwords for this name from here."
    suggested_action = "Wait a quarter of an hour, then try again. An administrator can lift the lock."


class TooManyLogins(CodedError):
    """Too many tries from one address, whatever the names."""

    code = "too_many_logins"
    title = "Too many tries"
    status = 429
    default_message = "There were too many tries from here."
    suggested_action = "Wait a minute, then try again."


class SecondFactorRequired(CodedError):
    """Staff must set up a second factor before anything else."""

    code = "second_factor_required"
    title = "Set up a second sign-in step first"
    status = 403
    default_message = "Administrators of this site sign in with a second step, and you have none yet."
    suggested_action = "Set up an authenticator app or a passkey on the Security page; then everything is open to you."


class ProviderRefused(CodedError):
    """The answer of the login provider cannot be believed, or says no."""

    code = "login_provider_refused"
    title = "That sign-in did not work"
    status = 403
    default_message = "The sign-in was not completed, or it was begun elsewhere."
    suggested_action = "Go back to the sign-in page and begin again."


class ProviderUnavailable(CodedError):
    """The login provider does not answer, or not as one."""

    code = "login_provider_unavailable"
    title = "The sign-in service isn't answering"
    status = 502
    default_message = "Your organisation's sign-in service did not answer as it should."
    suggested_action = "Try again in a moment. If it goes on, an administrator must check OIDC_SERVER_URL."
