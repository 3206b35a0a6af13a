"""Liveness and readiness for load balancers and for `manage.py up`."""

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from voiceagent import sdk_bundle


@require_safe
@never_cache
async def healthz(request: HttpRequest) -> JsonResponse:
    """Say that the process answers; asks nothing else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether people can be served, with a reason for each thing that is missing; 503 if any is."""
    reasons: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        reasons["database"] = "The database does not answer."
    try:
        cache.get("readyz")
    except (RedisError, OSError):
        reasons["cache"] = "The cache does not answer, so no limit can be checked."
    if not sdk_bundle.is_built():
        reasons["assets"] = "The audio library has not been built: python manage.py assets"
    return JsonResponse(
        {"status": "unready" if reasons else "ready", "reasons": reasons}, status=503 if reasons else 200
    )
