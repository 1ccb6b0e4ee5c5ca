"""Whether a text is drawn at all, and the number that starts a prompt's own stream of random numbers."""

import hashlib

GREEDY_BELOW = 1e-5  # a lower temperature overflows float32 and is greedy in effect


def stream_number(seed: int, id: str) -> int:
    """64 bits made from the seed and the prompt's id, so that a draw does not depend on the batch."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{id}".encode()).digest()[:8])
