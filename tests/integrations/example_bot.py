"""
A bot as people write them on dhanhq: it knows nothing of riskguard. Run: `python example_bot.py URL CLIENT TOKEN`.

It buys, protects what it bought with a stop, moves the stop, buys far too much, cancels, and prints what it was told.
"""

import json
import sys

from dhanhq import DhanContext, dhanhq

url, client_id, token = sys.argv[1:4]
context = DhanContext(client_id, token)
context.get_dhan_http().base_url = url
dhan = dhanhq(context)


def placed(answer):
    print(json.dumps({"status": answer["status"], "code": (answer["remarks"] or {}).get("error_code")}))
    return answer["data"]["orderId"] if answer["status"] == "success" else None


entry = placed(dhan.place_order("1333", dhan.NSE, dhan.BUY, 10, dhan.LIMIT, dhan.INTRA, 100.0, tag="entry"))
stop = placed(
    dhan.place_order("1333", dhan.NSE, dhan.BUY, 5, dhan.LIMIT, dhan.INTRA, 98.5, validity=dhan.DAY, tag="entry")
)
print(dhan.modify_order(stop, dhan.LIMIT, "ENTRY_LEG", 6, 98.0, 0, 0, dhan.DAY)["status"])
placed(dhan.place_order("1333", dhan.NSE, dhan.BUY, 9000, dhan.LIMIT, dhan.INTRA, 100.0, tag="too-much"))
print(dhan.get_order_by_correlationID("entry")["status"])
print(sorted(row["correlationId"] for row in dhan.get_order_list()["data"]))
print(dhan.cancel_order(stop)["status"])
