"""The coordinator service: experiments as durable workflows."""

__version__ = "0.1.0"
