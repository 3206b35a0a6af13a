"""The protocol's error envelope over HTTP."""

from aiohttp import web


class HttpError(Exception):
    """A request that is refused, with what its answer says."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


def envelope(problem: HttpError) -> web.Response:
    """Return the answer for a refused request."""
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    error = {"message": problem.message, "type": kind, "code": problem.code, "param": problem.param}
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else None
    return web.json_response({"error": error}, status=problem.status, headers=headers)
