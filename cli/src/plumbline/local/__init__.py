"""The services as processes of this machine."""
