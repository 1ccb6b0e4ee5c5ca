"""How the C library gives memory to the threads of this process."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h


def share() -> None:
    """From one arena for all threads. Call it before there are others.

    By default glibc gives threads arenas of their own, and what is freed in one is of no use in another: twenty threads
    that take turns at the same work held more the longer it lasted. Under Python's lock they hardly meet in one.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # only glibc has it
        mallopt(_M_ARENA_MAX, 1)
