"""
The JSON Schema of a rulebook, for editors: made from the checks' own parameters, so that it cannot fall behind them.

    python -m riskguard.services.limits.rulebook_schema

writes `schema/rulebook.schema.json`. An editor knows types, words and keys by it; whether a rulebook is one is for
`riskguard limits plan` to say.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from riskguard.core.checks import EVERY
from riskguard.core.limits import MODES, ON_BREACH, PLANS, Check
from riskguard.core.rulebook import ID_CHARS_MAX, LIMIT_KEYS
from riskguard.core.scope import KINDS

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
WORDS: Final = r"\S"


def schema() -> dict[str, Any]:
    """Return the schema of a whole rulebook; each check is a branch chosen by `check`."""
    return {
        "$schema": DRAFT,
        "title": "riskguard rulebook",
        "description": "Limits as a desk writes them: `riskguard limits plan FILE` shows what they would change.",
        "type": "object",
        "additionalProperties": False,
        "required": ["rulebook", "limit"],
        "properties": {
            "rulebook": {"type": "string", "minLength": 1, "description": "its name"},
            "description": {"type": "string"},
            "limit": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["check"],
                    "properties": {"check": {"enum": [check.name for check in EVERY]}},
                    "allOf": [_branch(check) for check in EVERY],
                },
            },
        },
    }


def _branch(check: Check) -> dict[str, Any]:
    own = _plain(check.params.model_json_schema())
    watches = "" if check.never_shadow else "; shadow: decided and recorded, not enforced"
    common: dict[str, Any] = {
        "id": {"type": "string", "minLength": 1, "maxLength": ID_CHARS_MAX, "description": "what refusals show"},
        "check": {"const": check.name},
        "scope": {
            "type": "string",
            "pattern": _scopes(check),
            "description": "ACCOUNT (the default) is the account the rulebook is applied to",
        },
        "on_breach": {"enum": _breaches(check), "default": check.on_breach},
        "mode": {
            "enum": ["enforce"] if check.never_shadow else list(MODES),
            "default": "enforce",
            "description": f"enforce{watches}",
        },
        "plan": {
            "enum": list(PLANS),
            "default": check.plan,
            "description": "what a kill by this limit does, or a breach that halts nobody",
        },
        "acknowledged_by": {"type": "string", "pattern": WORDS, "description": "who answers for only watching"},
        "acknowledged_until": {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}$",
            "description": "the last day it only watches; from the next on it enforces",
        },
        "why": {"type": "string", "pattern": WORDS, "description": "a limit nobody can explain is not reviewed"},
        "source": {"type": "string", "pattern": WORDS, "description": "where the number comes from"},
    }
    assert tuple(sorted(common)) == tuple(sorted(LIMIT_KEYS))
    whole: dict[str, Any] = {
        "properties": {**common, **own.get("properties", {})},
        "required": ["id", "check", "why", "source", *_scoped(check), *own.get("required", [])],
        "additionalProperties": False,
        "dependentRequired": {"acknowledged_by": ["acknowledged_until"], "acknowledged_until": ["acknowledged_by"]},
    }
    if check.mandatory and not check.never_shadow:
        whole["if"] = {
            "anyOf": [
                {"properties": {"mode": {"const": "shadow"}}, "required": ["mode"]},
                {"properties": {"on_breach": {"const": "warn"}}, "required": ["on_breach"]},
            ]
        }
        whole["then"] = {"required": ["acknowledged_by", "acknowledged_until"]}
    return {"if": {"properties": {"check": {"const": check.name}}, "required": ["check"]}, "then": whole}


def _scopes(check: Check) -> str:
    kinds = check.scopes or KINDS
    plain = [word for word in ("ACCOUNT", "GLOBAL") if word in kinds]
    named = "|".join(
        kind for kind in ("GROUP", "ACCOUNT", "SEGMENT", "STRATEGY", "UNDERLYING", "INSTRUMENT") if kind in kinds
    )
    return f"^({'|'.join([*plain, f'({named}):.+'])})$"


def _scoped(check: Check) -> list[str]:
    """A check that cannot be over the account the rulebook is applied to must be given its scope."""
    return ["scope"] if check.scopes and "ACCOUNT" not in check.scopes else []


def _breaches(check: Check) -> list[str]:
    return [word for word in ON_BREACH if not (word == "warn" and check.never_shadow)]


def _plain(made: dict[str, Any]) -> dict[str, Any]:
    """Put what pydantic names in `$defs` where it is used, and leave out what TOML has not: null, and titles."""
    named = made.get("$defs", {})

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return walk(copy.deepcopy(named[value["$ref"].rpartition("/")[2]]))
        some = [each for each in value.get("anyOf", ()) if each != {"type": "null"}]
        if len(some) == 1 and len(some) < len(value["anyOf"]):
            value = {**{key: each for key, each in value.items() if key not in ("anyOf", "default")}, **some[0]}
        return {
            key: {name: walk(each) for name, each in inside.items()} if key == "properties" else walk(inside)
            for key, inside in value.items()
            if key != "$defs"
            and not (key == "title" and isinstance(inside, str))
            and (key, inside) != ("default", None)
        }

    found: dict[str, Any] = walk(made)
    return found


def text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write `schema/rulebook.schema.json`."""
    from riskguard.locate import folder

    (folder("schema") / "rulebook.schema.json").write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
