"""What a requester may do: the policies that concern them, put together, and the questions asked of the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.conf import settings
from django.contrib.auth.models import User

from tokens import lookups
from tokens.exceptions import NetworkNotAllowed, OriginNotAllowed, PolicyDenied
from tokens.models import ApiKey, Kind, McpApproval, Policy, in_networks

T = TypeVar("T")
# Fields of a session that anybody may name within their policy; all others need `own_session`.
PLAIN_SESSION_FIELDS: Final = frozenset({"type", "model", "audio"})

LEFT_OUT: Final = "<redacted>"  # where the upstream does not repeat the rest of an address

# Limits that need our relay to hold.
CALL_LIMITS: Final = (
    "seconds_a_day", "seconds_a_month", "microdollars_a_day", "microdollars_a_month", "microdollars_a_call",
)  # fmt: skip


@dataclass(frozen=True)
class Allowance:
    """The limits of one requester. None means no limit; times are in seconds."""

    kinds: tuple[str, ...]
    agents: tuple[str, ...] | None
    models: tuple[str, ...] | None
    voices: tuple[str, ...] | None
    own_session: bool
    mcp_servers: tuple[str, ...]
    mcp_approval: str
    max_ttl_s: int
    issue_rate: str  # of the user, with all keys together
    key_issue_rate: str  # of the key alone; empty unless its own policy sets one
    secrets_a_day: int | None
    secrets_a_month: int | None
    seconds_a_day: int | None
    seconds_a_month: int | None
    microdollars_a_day: int | None
    microdollars_a_month: int | None
    calls_at_once: int
    call_max_s: int
    call_idle_s: int
    microdollars_a_call: int | None
    transcripts: str
    unmonitored_calls: bool
    delete_transcripts: bool
    networks: tuple[str, ...]
    origins: tuple[str, ...] | None

    def check_network(self, ip: str | None) -> None:
        """Raise NetworkNotAllowed for an address outside of the policy's networks."""
        if self.networks and not in_networks(ip, self.networks):
            raise NetworkNotAllowed()

    def check_origin(self, origin: str) -> None:
        """Raise OriginNotAllowed for a page that the policy does not list; a program sends no origin."""
        if self.origins is not None and origin and origin not in self.origins:
            raise OriginNotAllowed("Your policy does not allow this page's origin.")

    def check_kind(self, kind: str) -> None:
        if kind not in self.kinds:
            raise PolicyDenied(f"Your policy does not allow {kind} client secrets.", context={"rule": "kinds"})

    def check_ttl(self, ttl_s: int) -> None:
        if ttl_s > self.max_ttl_s:
            raise PolicyDenied(
                f"Your policy allows a life of at most {self.max_ttl_s} seconds.", context={"rule": "max_ttl_s"}
            )

    def check_model(self, model: str) -> None:
        if self.models is not None and model not in self.models:
            raise PolicyDenied(f"Your policy does not allow the model {model!r}.", context={"rule": "models"})

    def allows_voice(self, voice: str) -> bool:
        return self.voices is None or voice in self.voices

    def check_voice(self, voice: str) -> None:
        if not self.allows_voice(voice):
            raise PolicyDenied(f"Your policy does not allow the voice {voice!r}.", context={"rule": "voices"})

    def check_session_fields(self, session: dict[str, Any]) -> None:
        """Raise PolicyDenied when a session names more than model and voice without the right to."""
        if self.own_session:
            return self.check_tools(session.get("tools"))
        extra = sorted(session.keys() - PLAIN_SESSION_FIELDS)
        audio = session.get("audio") or {}
        extra += [f"audio.{name}" for name in sorted(audio.keys() - {"output"})]
        extra += [f"audio.output.{name}" for name in sorted((audio.get("output") or {}).keys() - {"voice"})]
        if extra:
            raise PolicyDenied(
                f"Your policy does not allow a session of your own; remove {', '.join(extra)} or name an agent.",
                context={"rule": "own_session", "fields": extra},
            )
        return None

    def check_tools(self, tools: object) -> None:
        """Raise PolicyDenied for an MCP server that the policy does not list, or that would be asked unapproved."""
        for tool in tools if isinstance(tools, list) else ():
            if not isinstance(tool, dict) or tool.get("type") != "mcp":
                continue
            if tool.get("server_url") not in self.mcp_servers:
                raise PolicyDenied("Your policy does not allow this MCP server.", context={"rule": "mcp_servers"})
            # Values count, not names: a live session's are filled in by the upstream with its defaults.
            if tool.get("connector_id"):
                raise PolicyDenied(
                    "Your policy does not allow connectors: name a server.", context={"rule": "mcp_servers"}
                )
            if tool.get("authorization") or tool.get("headers"):
                raise PolicyDenied(
                    "Sessions are kept on record: what an MCP server is authorized with must not stand in them.",
                    context={"rule": "mcp_servers"},
                )
            if (tool.get("require_approval") or "always") != "always":
                raise PolicyDenied(
                    "Each call of an MCP server has to be approved: leave require_approval out.",
                    context={"rule": "mcp_servers"},
                )

    def check_live_tools(self, tools: object) -> None:
        """Do as `check_tools` for tools as the upstream tells them: of an address it may say no more than the host."""
        self.check_tools([self._with_listed_url(tool) for tool in tools] if isinstance(tools, list) else tools)

    def _with_listed_url(self, tool: object) -> object:
        url = tool.get("server_url") if isinstance(tool, dict) else None
        if not (isinstance(tool, dict) and isinstance(url, str) and url.endswith(f"/{LEFT_OUT}")):
            return tool
        listed = (each for each in self.mcp_servers if each.startswith(url.removesuffix(LEFT_OUT)))
        return tool | {"server_url": next(listed, url)}

    def allows_agent(self, slug: str) -> bool:
        return self.agents is None or slug in self.agents


def allowance_of(user: User, api_key: ApiKey | None, mark: int | None = None) -> Allowance:
    """Put together what a user may do, with a key or without: for each field the most specific policy that sets it.

    mark: the configuration's, where it was read with the user; then policies that did not change are not read again.
    """
    found = lookups.policies(user.pk, api_key.pk if api_key else None, mark)
    policies = sorted(found, key=lambda policy: policy.precedence)

    def first(field: str, default: T, among: Sequence[Policy] = policies) -> T:
        for policy in among:
            value = getattr(policy, field)
            if value not in (None, ""):
                return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]
        return default

    mcp_approval = first("mcp_approval", McpApproval.CLIENT)
    limits_calls = any(first(field, None) is not None for field in CALL_LIMITS) or mcp_approval != McpApproval.CLIENT
    return Allowance(
        kinds=first("allowed_kinds", _default_kinds(limits_calls=limits_calls)),
        agents=first("allowed_agents", None),
        models=first("allowed_models", None),
        voices=first("allowed_voices", None),
        own_session=first("own_session", False),
        mcp_servers=first("allowed_mcp_servers", ()),
        mcp_approval=mcp_approval,
        max_ttl_s=first("max_ttl_s", settings.CLIENT_SECRET_MAX_TTL_S),
        issue_rate=first("issue_rate", settings.ISSUE_RATE, [policy for policy in policies if not policy.api_key_id]),
        key_issue_rate=first("issue_rate", "", [policy for policy in policies if policy.api_key_id]),
        secrets_a_day=first("secrets_a_day", None),
        secrets_a_month=first("secrets_a_month", None),
        seconds_a_day=first("seconds_a_day", None),
        seconds_a_month=first("seconds_a_month", None),
        microdollars_a_day=first("microdollars_a_day", None),
        microdollars_a_month=first("microdollars_a_month", None),
        calls_at_once=first("calls_at_once", settings.CALLS_AT_ONCE),
        call_max_s=first("call_max_s", settings.CALL_MAX_S),
        call_idle_s=first("call_idle_s", settings.CALL_IDLE_S),
        microdollars_a_call=first("microdollars_a_call", None),
        transcripts=first("transcripts", settings.TRANSCRIPTS),
        unmonitored_calls=first("unmonitored_calls", settings.UNMONITORED_CALLS == "allow"),
        delete_transcripts=first("delete_transcripts", settings.DELETE_TRANSCRIPTS == "allow"),
        networks=first("allowed_networks", ()),
        origins=first("allowed_origins", None),
    )


def _default_kinds(*, limits_calls: bool) -> tuple[str, ...]:
    """Return the kinds where no policy names any. Calls that are limited need our relay, so no direct secrets then."""
    kinds = tuple(settings.CLIENT_SECRET_KINDS)
    return tuple(kind for kind in kinds if kind != Kind.DIRECT) if limits_calls else kinds


def chosen_kind(allowance: Allowance, *, asked: str, with_key: bool) -> str:
    """Return the kind of secret to issue: the one asked for, else direct for programs and relayed for pages.

    Raises PolicyDenied when a kind was asked for that the policy does not allow.
    """
    if asked:
        allowance.check_kind(asked)
        return asked
    preferred = (Kind.DIRECT, Kind.RELAYED) if with_key else (Kind.RELAYED, Kind.DIRECT)
    return next((kind.value for kind in preferred if kind.value in allowance.kinds), "") or _nothing_allowed()


def _nothing_allowed() -> str:
    raise PolicyDenied("Your policy allows no client secrets.", context={"rule": "kinds"})
