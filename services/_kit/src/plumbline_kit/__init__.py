"""The plumbing every service shares. It knows no word of the domain."""
