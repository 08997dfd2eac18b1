"""How an answer goes over the wire, rightly or broken in one of the ways a scenario names."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from riskguard.brokers.dhan.sandbox.desk import RefusedByDhan
from riskguard.brokers.dhan.sandbox.requests import Reply
from riskguard.brokers.dhan.sandbox.scenario import Fault

PAGE: Final = b"<html><head><title>Please wait</title></head><body>Our service is busy.</body></html>"
NOT_DONE: Final = frozenset(
    {
        "reset_before", "html", "empty_before", "error_inside", "error_list", "error_text", "redirect", "server_error",
        "unreachable", "gateway_404",
    }
)  # fmt: skip
TYPES: Final = {
    "DH-901": (401, "Invalid_Authentication", "Client ID or user generated access token is invalid or expired."),
    "DH-902": (400, "Invalid_Access", "User has not subscribed to Data APIs or does not have access to Trading APIs."),
    "DH-903": (400, "User_Account", "Errors related to User's Account. Check if the required segments are activated."),
    "DH-904": (429, "Rate_Limit", "Too many requests on server from single user breaching rate limits."),
    "DH-905": (400, "Input_Exception", "Missing required fields, bad values for parameters etc."),
    "DH-906": (400, "Order_Error", "Incorrect request for order and cannot be processed."),
    "DH-907": (400, "Data_Error", "System is unable to fetch data due to incorrect parameters or no data present."),
    "DH-908": (500, "Internal_Server_Error", "Server was not able to process API request."),
    "DH-909": (400, "Network_Error", "Network error where the API was unable to communicate with the backend system."),
    "DH-910": (400, "Others", "Error originating from other reasons."),
    "DH-911": (400, "Invalid_IP", "Invalid IP"),
    "DH-1111": (500, "HOLDING_ERROR", "No holdings available"),
}


def acts(fault: Fault | None) -> bool:
    """Say whether the call is done all the same."""
    return fault is None or (fault.how not in NOT_DONE and not fault.how.startswith("DH-"))


def refusal(code: str) -> Reply:
    """Return Dhan's documented answer for a code."""
    status, kind, message = TYPES[code]
    return Reply(status, {"errorType": kind, "errorCode": code, "errorMessage": message})


def refused(error: RefusedByDhan) -> Reply:
    return Reply(error.status, {"errorType": error.kind, "errorCode": error.code, "errorMessage": error.message})


def send(handler: BaseHTTPRequestHandler, reply: Reply, fault: Fault | None, stopping: threading.Event) -> None:
    """Write *reply*, broken as *fault* says. A client that has gone is no error."""
    how = "" if fault is None else fault.how
    with contextlib.suppress(OSError):
        if how in ("reset_before", "reset_after"):
            return _reset(handler)
        if how == "close_after":
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        status, raw = _changed(reply, how)
        kind = "text/html" if how in ("html", "html_502") else "application/json"
        if fault is not None and how == "slow":
            stopping.wait(fault.seconds)
        if fault is not None and how == "trickle":
            return _trickle(handler, status, raw, fault.seconds, stopping)
        handler.send_response(status)
        if status == 301:
            handler.send_header("Location", "https://example.invalid/")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        if how == "truncated":
            handler.wfile.write(raw[: max(1, len(raw) // 2)])
            handler.wfile.flush()
            handler.close_connection = True
            return None
        handler.wfile.write(raw)
    return None


def _changed(reply: Reply, how: str) -> tuple[int, bytes]:
    if how == "html":
        return 200, PAGE
    if how == "html_502":
        return 502, PAGE
    if how in ("empty", "empty_before"):
        return 202, b""
    if how == "redirect":
        return 301, b""
    if how in ("server_error", "server_error_after"):
        reply = refusal("DH-908")
    elif how == "unreachable":
        reply = refusal("DH-909")
    elif how.startswith("DH-"):
        reply = refusal(how)
    elif how == "gateway_404":
        reply = Reply(
            404, {"timestamp": "2026-09-08T10:00:00.000+00:00", "status": 404, "error": "Not Found", "path": "/"}
        )
    elif how == "error_inside":
        reply = Reply(200, {"status": "ERROR", "message": "Something went wrong"})
    elif how == "error_list":
        reply = Reply(200, [{"message": "Something went wrong", "status": "ERROR"}])
    elif how == "error_text":
        reply = Reply(200, refusal("DH-905").body)
    elif how == "blank_data":
        reply = Reply(reply.status, "")
    elif reply.status < 300:
        reply = Reply(reply.status, _bent(reply.body, how))
    return reply.status, b"" if reply.body is None else json.dumps(reply.body).encode()


def _bent(body: Any, how: str) -> Any:
    """Return a good body, spoiled."""
    if how == "duplicate" and isinstance(body, list):
        return [*body, *body]
    if how == "missing_rows" and isinstance(body, list):
        return []
    if how in ("nan", "text_numbers", "unknown_status"):
        return _each(body, how)
    return body


def _each(value: Any, how: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {inner: _each(each, how, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [_each(each, how, name) for each in value]
    if how == "unknown_status":
        return "SETTLING" if name.lower().endswith("status") and isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return float("nan") if how == "nan" else str(value)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close with a RST: the client sees a reset, not an end."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def _trickle(
    handler: BaseHTTPRequestHandler, status: int, raw: bytes, seconds: float, stopping: threading.Event
) -> None:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    for byte in head.encode() + raw:
        handler.wfile.write(bytes((byte,)))
        handler.wfile.flush()
        if stopping.wait(seconds):
            return
