"""What a post-auth script answers with. `authret['status']` is one of these two integers."""

SUCCEED = 0
FAIL = 1

__all__ = ["SUCCEED", "FAIL"]
