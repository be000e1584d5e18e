# SPDX-License-Identifier: GPL-2.0-only
"""Runs code that a test sends, beside the loaded library of the ns-3 process: a JSON object a line each way."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import cppyy

from ns3_scenarios.library import SOURCES, load


def main() -> None:
    """Answer {"result": ...} or {"error": text} until standard input ends; `nr` is the C++ namespace of the cell."""
    cosim, _ = load()
    for header in sorted((SOURCES / "nr").glob("*.h")):
        cppyy.include(str(header))
    names: dict[str, Any] = {"cosim": cosim, "nr": cosim.nr, "cppyy": cppyy}
    for line in sys.stdin:
        request = json.loads(line)
        scope = names | {"values": request["values"]}
        try:
            exec(request["code"], scope)
            reply = {"result": scope.get("result")}
        except Exception:
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
