"""The benchmark that users run: open-loop load on a gateway, from outside, and what it cost."""
